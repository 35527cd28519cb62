//! The description of the API, and the pages that show it. They are part of the program: nothing comes from a network.

use std::sync::{Arc, LazyLock};

use axum::extract::Path;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa_swagger_ui::Config;

use crate::problem::Problem;
use crate::{edge, openapi};

/// The document as text: it does not change while the process runs.
static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| openapi::document().to_json().expect("the document is made of text, lists and maps"));

/// The pages read the document relative to themselves, so that they work under an alias, too. Without a validator they
/// ask nobody else.
static PAGES: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    Arc::new(
        Config::new(["../openapi.json"]).validator_url("none").try_it_out_enabled(true).persist_authorization(true),
    )
});

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", tag = "service",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"))
)]
pub(crate) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// The pages live in a folder: files are named relative to it.
pub(crate) async fn redirect() -> Redirect {
    Redirect::temporary("docs/")
}

pub(crate) async fn index(uri: Uri) -> Result<Response, Problem> {
    page("", &uri)
}

pub(crate) async fn file(Path(file): Path<String>, uri: Uri) -> Result<Response, Problem> {
    page(&file, &uri)
}

fn page(file: &str, uri: &Uri) -> Result<Response, Problem> {
    match utoipa_swagger_ui::serve(file, Arc::clone(&PAGES)) {
        Ok(Some(page)) => {
            let kind = HeaderValue::from_str(&page.content_type).unwrap_or(HeaderValue::from_static("text/plain"));
            Ok(([(header::CONTENT_TYPE, kind)], page.bytes.into_owned()).into_response())
        }
        Ok(None) => Err(edge::nothing_at(uri)),
        Err(error) => Err(Problem::internal(error)),
    }
}

//! `operator health`: asks a dispatcher or a worker whether it is well, and answers by the exit code.
//!
//! It is what a container's health check runs, so it needs neither Redis nor a program beside it. What well means is
//! decided by the service that is asked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use operator_core::settings::{Reader, vars};
use operator_telemetry::ListenSettings;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::failure::Failure;
use crate::output::Output;

/// How long one service may take; its own readiness checks are bounded by two seconds, and health checks by about five.
const TIMEOUT: Duration = Duration::from_secs(4);

/// How much of an answer is read; a verdict is a few hundred bytes.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Asks `url`, or without one the services of this container, and prints the answer.
pub(crate) async fn run(url: Option<&Url>, reader: Reader<'_>, output: &Output) -> Result<(), Failure> {
    let answer = match url {
        Some(url) => ask(url).await?,
        None => ask_first(&local(reader)?).await?,
    };
    output.print(&answer, || format!("{} answers {}: {}", answer.url, answer.status, answer.body.trim_end()))?;
    if answer.status == 200 { Ok(()) } else { Err(Failure::Unwell { url: answer.url }) }
}

/// The address given on the command line.
pub(crate) fn url(text: &str) -> Result<Url, String> {
    let url =
        Url::parse(text).map_err(|error| format!("{error}; give an address such as http://127.0.0.1:8080/ready"))?;
    if url.scheme() != "http" || url.host_str().is_none() {
        return Err("only http:// addresses can be asked".to_owned());
    }
    Ok(url)
}

/// Where a dispatcher and a worker with this environment listen. A container runs one of them.
fn local(mut reader: Reader<'_>) -> Result<[SocketAddr; 2], Failure> {
    let dispatcher = ListenSettings::read(&mut reader, &vars::PORT, 8080);
    let worker = ListenSettings::read(&mut reader, &vars::HEALTH_PORT, 9090);
    reader.finish()?;
    Ok([dispatcher, worker].map(|settings| SocketAddr::new(reachable(settings.bind), settings.port)))
}

/// An address that reaches a server bound to `bind`.
fn reachable(bind: IpAddr) -> IpAddr {
    if bind.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { bind }
}

/// The answer of the first of `addresses` where anything listens.
async fn ask_first(addresses: &[SocketAddr]) -> Result<Answer, Failure> {
    let mut problems = Vec::new();
    for address in addresses {
        let url = Url::parse(&format!("http://{address}/health")).expect("an address and a path make a URL");
        match ask(&url).await {
            Err(Failure::Silent { problem, .. }) => problems.push(format!("{address}: {problem}")),
            answer => return answer,
        }
    }
    Err(Failure::Silent { what: "a dispatcher or worker here".to_owned(), problem: problems.join("; ") })
}

async fn ask(url: &Url) -> Result<Answer, Failure> {
    let silent = |problem: String| Failure::Silent { what: url.to_string(), problem };
    let text = match tokio::time::timeout(TIMEOUT, get(url)).await {
        Ok(text) => text.map_err(|error| silent(error.to_string()))?,
        Err(_) => return Err(silent(format!("no answer within {} s", TIMEOUT.as_secs()))),
    };
    let (status, body) = parse(&text).ok_or_else(|| silent("what answers does not speak HTTP".to_owned()))?;
    Ok(Answer { url: url.to_string(), status, body: body.to_owned() })
}

/// HTTP/1.0, so that the answer ends with the connection and is never chunked.
async fn get(url: &Url) -> std::io::Result<String> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let mut stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The status and the body of an answer.
fn parse(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    Some((status.lines().next()?.parse().ok()?, body))
}

/// What a service said.
#[derive(Debug, Serialize)]
struct Answer {
    url: String,
    status: u16,
    body: String,
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn without_an_address_both_ports_of_this_container_are_asked() {
        let addresses =
            |environment: HashMap<&str, &str>| local(Reader::new(&environment)).unwrap().map(|a| a.to_string());
        assert_eq!(addresses(HashMap::new()), ["127.0.0.1:8080", "127.0.0.1:9090"]);
        let set = HashMap::from([("PORT", "1"), ("HEALTH_PORT", "2"), ("OPERATOR_BIND", "[fd00::1]")]);
        assert_eq!(addresses(set), ["[fd00::1]:1", "[fd00::1]:2"]);
    }

    #[test]
    fn an_answer_is_split_into_status_and_body() {
        assert_eq!(parse("HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\nno\r\n\r\n"), Some((503, "no\r\n\r\n")));
        assert_eq!(parse("HTTP/1.0 200\r\na: b\r\n\r\n"), Some((200, "")));
        assert_eq!(parse("-ERR unknown command\r\n\r\n"), None);
    }

    #[test]
    fn only_plain_http_can_be_asked() {
        assert!(url("http://[::1]:9090/ready").is_ok());
        assert!(url("https://example.org/").unwrap_err().contains("http://"));
        assert!(url("8080").unwrap_err().contains("http://127.0.0.1:8080/ready"));
    }
}

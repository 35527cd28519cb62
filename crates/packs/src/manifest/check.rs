//! From the text of a manifest to a [`Manifest`]: first its shape, by the published schema, then what no schema can say.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use operator_core::Json;
use operator_core::pack::Schema;
use semver::VersionReq;
use serde_json::Value;

use super::document::{Document, segments};
use super::raw::{RawCommand, RawExecutor, RawHttp, RawJobType, RawManifest, RawPermissions};
use super::{
    BadManifest, CommandSpec, Dependency, ExecutorSpec, HttpSpec, JobTypeSpec, MANIFEST_FILE, MANIFEST_SCHEMA,
    Manifest, ManifestProblem, PackSource, Permissions,
};

/// The largest manifest or schema that is read, in bytes: many times what people write.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The packs' own folder of programs: an argument that begins with it is one of them.
const JOBS_FOLDER: &str = "jobs/";

static SHAPE: LazyLock<Schema> = LazyLock::new(|| {
    let source = Json::parse(MANIFEST_SCHEMA).expect("the tests parse the schema of manifests");
    Schema::compile(&source).expect("the tests compile the schema of manifests")
});

pub(super) fn load(folder: &Path) -> Result<Manifest, BadManifest> {
    let file = folder.join(MANIFEST_FILE);
    let about = |line, problem| BadManifest {
        problems: vec![ManifestProblem { file: file.clone(), line, key: String::new(), problem }],
    };
    let text = read(&file).map_err(|problem| about(None, problem))?;
    let document = Document::parse(&text).map_err(|unreadable| about(unreadable.line, unreadable.problem))?;
    let folder = fs::canonicalize(folder).map_err(|error| about(None, error.to_string()))?;
    let mut check = Check { file: file.clone(), folder, document: &document, problems: Vec::new() };
    let manifest = check.shape().and_then(|raw| check.manifest(raw));
    check.problems.sort_by_key(|problem| problem.line);
    match manifest {
        Some(manifest) if check.problems.is_empty() => Ok(manifest),
        _ => Err(BadManifest { problems: check.problems }),
    }
}

fn read(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let opened = fs::File::open(file).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
    match opened {
        Ok(bytes) if bytes as u64 > MAX_FILE_BYTES => {
            Err(format!("it has more than {MAX_FILE_BYTES} bytes: shorten it"))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// A check under way. What is found wrong gathers, so that all of it is told at once.
struct Check<'a> {
    file: PathBuf,
    folder: PathBuf,
    document: &'a Document,
    problems: Vec<ManifestProblem>,
}

impl Check<'_> {
    fn add(&mut self, pointer: &str, problem: impl Into<String>) {
        self.problems.push(ManifestProblem {
            file: self.file.clone(),
            line: Some(self.document.line(pointer)),
            key: segments(pointer).collect::<Vec<_>>().join("."),
            problem: problem.into(),
        });
    }

    fn shape(&mut self) -> Option<RawManifest> {
        for mismatch in SHAPE.mismatches_of(&self.document.value) {
            self.add(&mismatch.pointer, mismatch.problem);
        }
        if !self.problems.is_empty() {
            return None;
        }
        let read: Result<RawManifest, _> = serde_path_to_error::deserialize(self.document.value.clone());
        read.map_err(|error| {
            let pointer = format!("/{}", error.path().to_string().replace('.', "/"));
            self.add(&pointer, error.into_inner().to_string());
        })
        .ok()
    }

    fn manifest(&mut self, raw: RawManifest) -> Option<Manifest> {
        let pack = Arc::new(PackSource { id: raw.id, version: raw.version, folder: self.folder.clone() });
        let depends_on = self.dependencies(&raw.depends_on);
        if let Some(config) = &raw.config_schema {
            self.compile("/config_schema", config.clone().into());
        }
        let mut job_types = BTreeMap::new();
        for (name, raw) in raw.job_types {
            if let Some(spec) = self.job_type(&pack, &name, raw) {
                job_types.insert(name, spec);
            }
        }
        Some(Manifest {
            name: if raw.name.is_empty() { pack.id.clone() } else { raw.name },
            pack,
            description: raw.description,
            author: raw.author,
            license: raw.license,
            required_roles: raw.required_roles,
            depends_on,
            capabilities: raw.capabilities,
            tags: raw.tags,
            config_schema: raw.config_schema.map(Json::from),
            job_types,
        })
    }

    fn dependencies(&mut self, texts: &[String]) -> Vec<Dependency> {
        let mut dependencies = Vec::new();
        for (position, text) in texts.iter().enumerate() {
            let (id, versions) = text.split_once(' ').unwrap_or((text, "*"));
            match VersionReq::parse(versions.trim()) {
                Ok(versions) => dependencies.push(Dependency { id: id.to_owned(), versions }),
                Err(error) => self.add(
                    &format!("/depends_on/{position}"),
                    format!("`{versions}` says no versions ({error}): write such as `{id} >=1.0, <2.0`"),
                ),
            }
        }
        dependencies
    }

    fn job_type(&mut self, pack: &Arc<PackSource>, name: &str, raw: RawJobType) -> Option<JobTypeSpec> {
        let at = format!("/job_types/{}", name.replace('~', "~0").replace('/', "~1"));
        let input = self.schema(&format!("{at}/input"), raw.input);
        let output = self.schema(&format!("{at}/output"), raw.output);
        let permissions = self.permissions(&format!("{at}/permissions"), raw.permissions);
        let executor = match raw.executor {
            RawExecutor::Command(raw) => self.command(&format!("{at}/executor/command"), raw)?,
            RawExecutor::Http(raw) => self.http(&format!("{at}/executor/http"), raw, &permissions)?,
            RawExecutor::Rust(_) => ExecutorSpec::Rust,
        };
        Some(JobTypeSpec {
            name: name.to_owned(),
            pack: Arc::clone(pack),
            description: raw.description,
            input,
            output,
            executor,
            defaults: raw.defaults.into(),
            permissions,
        })
    }

    /// A schema as it stands in the manifest, or in the file that the manifest names.
    fn schema(&mut self, pointer: &str, source: Option<Value>) -> Option<Arc<Schema>> {
        let source = match source? {
            Value::String(path) => {
                let file = self.own(pointer, &path)?;
                match read(&file).and_then(|text| Json::parse(text).map_err(|error| format!("is not JSON: {error}"))) {
                    Ok(json) => json,
                    Err(problem) => {
                        self.add(pointer, format!("{path}: {problem}"));
                        return None;
                    }
                }
            }
            inline => inline.into(),
        };
        self.compile(pointer, source).map(Arc::new)
    }

    fn compile(&mut self, pointer: &str, source: Json) -> Option<Schema> {
        Schema::compile(&source).map_err(|error| self.add(pointer, format!("is no usable schema: {error}"))).ok()
    }

    /// A file of the pack's own folder, or a problem.
    fn own(&mut self, pointer: &str, path: &str) -> Option<PathBuf> {
        if !is_inside(Path::new(path)) {
            self.add(pointer, format!("`{path}` leads out of the pack: give a path from its folder, without `..`"));
            return None;
        }
        let file = self.folder.join(path);
        if !file.is_file() {
            self.add(pointer, format!("there is no file {}: make it, or name another", file.display()));
            return None;
        }
        Some(file)
    }

    fn command(&mut self, at: &str, raw: RawCommand) -> Option<ExecutorSpec> {
        let program = if raw.program.contains('/') && !raw.program.starts_with('/') {
            self.own(&format!("{at}/program"), &raw.program)?.to_string_lossy().into_owned()
        } else {
            raw.program
        };
        for (position, arg) in raw.args.iter().enumerate().filter(|(_, arg)| arg.starts_with(JOBS_FOLDER)) {
            self.own(&format!("{at}/args/{position}"), arg);
        }
        Some(ExecutorSpec::Command(CommandSpec {
            program,
            args: raw.args,
            persistent: raw.persistent,
            idle: Duration::from_millis(raw.idle_ms),
            max_jobs: raw.max_jobs,
            grace: Duration::from_millis(raw.grace_ms),
        }))
    }

    fn http(&mut self, at: &str, raw: RawHttp, permissions: &Permissions) -> Option<ExecutorSpec> {
        if let Err(problem) = check_url(&raw.url) {
            self.add(&format!("{at}/url"), problem);
        }
        if let Some(secret) = raw.secret.as_ref().filter(|secret| !permissions.secrets.contains(secret)) {
            let problem = format!("`{secret}` is not permitted: list it in permissions.secrets, too");
            self.add(&format!("{at}/secret"), problem);
        }
        Some(ExecutorSpec::Http(HttpSpec {
            url: raw.url,
            secret: raw.secret,
            headers: raw.headers,
            allow_private: raw.allow_private,
            callback_within: raw.callback.then(|| Duration::from_millis(raw.callback_within_ms)),
            max_response_bytes: raw.max_response_bytes,
        }))
    }

    fn permissions(&mut self, at: &str, raw: RawPermissions) -> Permissions {
        let read = self.paths(&format!("{at}/read"), &raw.read);
        let write = self.paths(&format!("{at}/write"), &raw.write);
        let mut require = raw.require;
        require.sort_unstable();
        let (env, secrets, limits) = (raw.env, raw.secrets, raw.limits);
        Permissions { env, secrets, read, write, connect: raw.connect, bind: raw.bind, limits, require }
    }

    /// Where a path of a permission leads, from the folder of the pack. What is there is known only to the worker.
    fn paths(&mut self, at: &str, paths: &[String]) -> Vec<PathBuf> {
        for (position, path) in paths.iter().enumerate() {
            if Path::new(path).components().any(|part| part == Component::ParentDir) {
                let problem = format!("`{path}` goes up with `..`: write the whole path");
                self.add(&format!("{at}/{position}"), problem);
            }
        }
        paths.iter().map(|path| self.folder.join(path)).collect()
    }
}

fn is_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

fn check_url(url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url)
        .map_err(|error| format!("is no address ({error}): give one such as https://example.com/jobs"))?;
    if parsed.username().is_empty() && parsed.password().is_none() {
        return Ok(());
    }
    Err("holds credentials, which everybody who reads the pack would see: send them in a header or sign with a secret"
        .to_owned())
}

//! What programs are given in confidence, and what is left of it when they tell.

use std::collections::HashMap;

use operator_packs::command::{Command, CommandError};
use operator_packs::secrets::SecretError;
use serde_json::Value;

use crate::bench::Bench;

const TELLS: &str = r#"
key = os.environ['API_KEY']
print('the key is', key)
print('lang', os.environ.get('LANG'), 'other', os.environ.get('OTHER'))
say('log', line=key)
say('progress', progress={'key': key})
say('child', name='a', data=[key])
say('data', data=key)
print('{"operator":"progress","progress":"' + ''.join('\\u%04x' % ord(c) for c in key) + '"}')
print('trouble with ' + key, file=sys.stderr)
"#;

fn bench() -> Bench {
    Bench::with_environment(HashMap::from([
        ("API_KEY", "s3cret-\"value\""),
        ("OTHER", "not granted"),
        ("LANG", "C.UTF-8"),
        ("REDIS_URL", "redis://:password@redis"),
    ]))
}

#[tokio::test]
async fn a_secret_is_given_to_whom_it_was_granted_and_stored_nowhere() {
    let bench = bench();
    let mut spec = bench.python(&format!("{TELLS}say('result', result={{'key': key, 'list': [key + '!']}})"));
    (spec.secrets, spec.env) = (vec!["API_KEY".to_owned()], vec!["LANG".to_owned()]);
    let (result, rehearsal) = bench.run(spec.clone()).await;
    let result: Value = result.unwrap().decode().unwrap();
    assert_eq!(result.to_string(), r#"{"key":"[secret API_KEY]","list":["[secret API_KEY]!"]}"#);
    let logs = ["the key is [secret API_KEY]", "lang C.UTF-8 other None", "[secret API_KEY]"];
    assert_eq!(rehearsal.logs(), logs);
    let told = format!("{:?}{:?}{:?}", rehearsal.progress(), rehearsal.data_updates(), rehearsal.children());
    assert!(!told.contains("s3cret") && told.matches("[secret API_KEY]").count() == 4, "{told}");

    spec.args = bench.python(&format!("{TELLS}raise Exception(key)")).args;
    let failure = bench.run(spec.clone()).await.0.unwrap_err();
    let told = format!("{failure:?}");
    assert!(!told.contains("s3cret") && told.contains("trouble with [secret API_KEY]"), "{told}");

    spec.args = bench.python(&format!("{TELLS}say('failure', message='bad ' + key, code=key)")).args;
    let failure = bench.run(spec).await.0.unwrap_err();
    assert!(!format!("{failure:?}").contains("s3cret") && failure.message == "bad [secret API_KEY]", "{failure:?}");
}

#[tokio::test]
async fn a_job_type_whose_secret_is_missing_or_the_workers_own_is_refused() {
    let bench = bench();
    let refused = |change: fn(&mut operator_packs::command::JobProgram)| {
        let mut spec = bench.shell("true");
        change(&mut spec);
        match Command::new(&bench.sandbox, &bench.secrets, spec) {
            Err(CommandError::Secret(error)) => error,
            _ => panic!("it was not refused"),
        }
    };
    assert_eq!(refused(|spec| spec.secrets.push("NONE".to_owned())), SecretError::Missing("NONE".to_owned()));
    let own = SecretError::WorkersOwn("REDIS_URL".to_owned());
    assert_eq!(refused(|spec| spec.secrets.push("REDIS_URL".to_owned())), own);
    assert_eq!(refused(|spec| spec.env.push("REDIS_URL".to_owned())), own);
}

//! What an ordinary program finds.

use std::collections::BTreeSet;

use operator_core::pack::Protection;
use operator_core::settings::Secret;
use operator_packs::sandbox::{Kernel, Program, SandboxError};

use crate::harness::{Bench, is_empty, until};

#[tokio::test]
async fn a_program_finds_its_pack_its_folder_and_an_empty_environment() {
    let bench = Bench::new();
    let mut program = bench.script("sh", "pwd; echo $HOME; echo $TMPDIR; echo hi > $TMPDIR/a; cat $HOME/a; env; umask");
    program.env.insert("GREETING".to_owned(), Secret::new("hello"));
    let ended = bench.run(program).await;
    assert_eq!((ended.exit.status.code(), ended.err.as_str()), (Some(0), ""));
    let lines: Vec<_> = ended.out.lines().collect();
    assert_eq!(lines[0], bench.pack().to_str().unwrap());
    assert!(lines[1].starts_with(bench.sandbox.folder().to_str().unwrap()), "{}", lines[1]);
    assert_eq!((lines[1], lines[3], lines.last()), (lines[2], "hi", Some(&"0077")));
    let names: BTreeSet<_> = lines[4..lines.len() - 1].iter().filter_map(|line| line.split('=').next()).collect();
    assert_eq!(names, BTreeSet::from(["GREETING", "HOME", "PATH", "PWD", "TMPDIR"]));
    until(|| is_empty(bench.sandbox.folder())).await;
}

#[tokio::test]
async fn interpreters_work_as_they_do_outside() {
    let bench = Bench::new();
    let python = "import ssl, json, subprocess, tempfile, threading, os, pwd\n\
        open(tempfile.mkstemp()[1], 'w').write('x')\n\
        print(json.dumps(subprocess.run(['sh', '-c', 'echo $((6*7)) > /dev/stderr; echo $0'], capture_output=True).stderr.decode()))";
    let ended = bench.python(python).await;
    assert_eq!((ended.out.as_str(), ended.err.as_str()), (r#""42\n""#, ""));
    let node = "const {execSync} = require('child_process'), os = require('os'), fs = require('fs');\n\
        fs.writeFileSync(os.tmpdir() + '/a', 'b'); console.log(execSync('cat $TMPDIR/a').toString(), os.cpus().length > 0)";
    let ended = bench.run(bench.script("node", node)).await;
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("b true", ""));
    let ended = bench.shell("printf 'b\\na\\n' | sort | tr -d '\\n'; echo x > /dev/null; date > /dev/null").await;
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("ab", ""));
}

#[tokio::test]
async fn what_was_granted_can_be_read_and_written_and_nothing_beside_it() {
    let bench = Bench::without_users();
    for name in ["read", "write", "other"] {
        std::fs::create_dir(bench.place.path().join(name)).unwrap();
        std::fs::write(bench.place.path().join(name).join("file"), name).unwrap();
    }
    let text = "cat ../read/file; echo more >> ../read/file; echo more >> ../write/file; cat ../other/file";
    let mut program = bench.script("sh", text);
    program.grants.read = vec![bench.place.path().join("read")];
    program.grants.write = vec![bench.place.path().join("write")];
    let ended = bench.run(program).await;
    assert_eq!(ended.out, "read");
    assert_eq!(ended.err.matches("Permission denied").count(), 2, "{}", ended.err);
    let written = |name: &str| std::fs::read_to_string(bench.place.path().join(name).join("file")).unwrap();
    assert_eq!((written("read").as_str(), written("write").as_str()), ("read", "writemore\n"));
}

#[tokio::test]
async fn a_program_that_could_not_be_run_is_refused_before_it_is() {
    let bench = Bench::new();
    let refused = |program| bench.sandbox.plan(program).err().unwrap();
    let plain = || Program { program: "sh".to_owned(), folder: bench.pack(), ..Program::default() };
    let error = refused(Program { program: "no-such-program".to_owned(), ..plain() });
    assert!(matches!(error, SandboxError::NoProgram { .. }), "{error}");
    let error = refused(Program { folder: bench.pack().join("none"), ..plain() });
    assert!(matches!(error, SandboxError::Folder { .. }), "{error}");
    let mut program = plain();
    program.grants.read = vec!["relative".into()];
    assert!(matches!(refused(program), SandboxError::Relative(_)));
    std::fs::copy("/bin/sh", bench.place.path().join("shell")).unwrap();
    let error = refused(Program { program: "../shell".to_owned(), ..plain() });
    assert!(error.to_string().contains("OPERATOR_SANDBOX_READ"), "{error}");
}

#[tokio::test]
async fn a_required_protection_that_is_missing_refuses_the_program() {
    let bench = Bench::without_users();
    let mut program = bench.script("sh", "true");
    program.require = BTreeSet::from([Protection::Filesystem, Protection::Network, Protection::Syscalls]);
    let plan = bench.sandbox.plan(program.clone()).unwrap();
    assert!(plan.protections().is_superset(&program.require));
    program.require.insert(Protection::User);
    let error = bench.sandbox.plan(program).err().unwrap().to_string();
    assert!(error.contains("`user` is required") && error.contains("OPERATOR_SANDBOX_UIDS"), "{error}");
    let told = bench.sandbox.describe();
    assert!(told.contains("filesystem, network, syscalls") && told.contains("missing: user"), "{told}");
}

#[tokio::test]
async fn a_worker_of_root_gives_each_program_a_user_of_its_own() {
    let bench = Bench::new();
    let (first, second) = (bench.shell("id -u").await.out, bench.shell("id -u").await.out);
    if Kernel::detect().switches_users {
        assert!(first != second && first.parse::<u32>().unwrap() >= 59_000, "{first} {second}");
    } else {
        assert_eq!(first, second, "only root can run programs as others");
    }
}

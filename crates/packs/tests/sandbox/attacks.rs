//! Programs that want more than they were granted.

use operator_packs::sandbox::{Excess, Limits};

use crate::harness::{Bench, Ended, until};

/// The machine and the worker are as well as before: another program runs.
async fn is_healthy(bench: &Bench) {
    let ended = bench.shell("echo fine").await;
    assert_eq!((ended.out.as_str(), ended.exit.status.code()), ("fine", Some(0)), "{}", ended.err);
}

/// Tries each expression of Python and says what came of it.
async fn try_all(bench: &Bench, attempts: &[&str]) -> Ended {
    let mut text = "import ctypes, os, socket, signal, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        def call(*args):\n    if libc.syscall(*args) < 0: raise OSError(ctypes.get_errno(), 'refused')\n"
        .to_owned();
    for attempt in attempts {
        text += &format!("try:\n    {attempt}\n    print('DONE: {}')\n", attempt.replace('\'', "\\'"));
        text += "except OSError as error:\n    pass\n";
    }
    let ended = bench.python(&(text + "print('end')\n")).await;
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("end", ""));
    ended
}

#[tokio::test]
async fn secrets_of_the_machine_and_of_the_worker_stay_unread() {
    let worker = std::process::id();
    for bench in [Bench::new(), Bench::without_users()] {
        let other = bench.place.path().join("other.txt");
        std::fs::write(&other, "of another").unwrap();
        let read = |path: &str| format!("open('{path}', 'rb').read(1)");
        let paths =
            ["/etc/shadow", &format!("/proc/{worker}/environ"), &format!("/proc/{worker}/mem"), "/proc/1/environ"];
        let mut attempts: Vec<_> = paths.into_iter().map(read).collect();
        attempts.push(read(other.to_str().unwrap()));
        attempts.push("os.listdir('/proc')".to_owned());
        attempts.push(format!("os.listdir('/proc/{worker}/fd')"));
        attempts.push(format!("os.listdir('{}')", bench.sandbox.folder().display()));
        attempts.push("os.listdir('/root')".to_owned());
        try_all(&bench, &attempts.iter().map(String::as_str).collect::<Vec<_>>()).await;
        is_healthy(&bench).await;
    }
}

#[tokio::test]
async fn nothing_is_written_outside_its_folder() {
    for bench in [Bench::new(), Bench::without_users()] {
        let victim = bench.place.path().join("victim");
        std::fs::write(&victim, "whole").unwrap();
        let victim = victim.to_str().unwrap();
        let attempts = [
            format!("open('{victim}', 'w').write('broken')"),
            format!("os.truncate('{victim}', 0)"),
            format!("os.unlink('{victim}')"),
            format!("os.rename('{victim}', '{victim}2')"),
            format!("os.link('{victim}', os.environ['HOME'] + '/link')"),
            format!("os.symlink('{victim}', os.environ['HOME'] + '/soft'); open(os.environ['HOME'] + '/soft', 'w')"),
            "open('in-the-pack', 'w')".to_owned(),
            "open('/tmp/operator-outside', 'w')".to_owned(),
            "os.mkdir('/dev/shm/operator-outside')".to_owned(),
            "os.mknod(os.environ['HOME'] + '/disk', 0o60600, os.makedev(254, 0))".to_owned(),
        ];
        try_all(&bench, &attempts.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert_eq!(std::fs::read_to_string(victim).unwrap(), "whole");
        is_healthy(&bench).await;
    }
}

#[tokio::test]
async fn system_calls_that_no_pack_needs_are_refused() {
    let worker = std::process::id();
    let bench = Bench::without_users();
    let by_number = |number: i64, rest: &str| format!("call({number}{rest})");
    let attempts = [
        by_number(libc::SYS_ptrace, &format!(", 16, {worker}, 0, 0")),
        by_number(libc::SYS_process_vm_readv, &format!(", {worker}, 0, 0, 0, 0, 0")),
        by_number(libc::SYS_unshare, ", 0x10000000"),
        by_number(libc::SYS_clone, ", 0x10000011, 0, 0, 0, 0"),
        by_number(libc::SYS_clone3, ", 0, 0"),
        by_number(libc::SYS_mount, ", b'none', b'/mnt', b'tmpfs', 0, 0"),
        by_number(libc::SYS_bpf, ", 0, 0, 0"),
        by_number(libc::SYS_io_uring_setup, ", 1, 0"),
        by_number(libc::SYS_keyctl, ", 0, 0"),
        by_number(libc::SYS_userfaultfd, ", 0"),
        by_number(libc::SYS_perf_event_open, ", 0, 0, -1, -1, 0"),
        by_number(libc::SYS_setsid, ""),
        by_number(libc::SYS_setpgid, ", 0, 0"),
        by_number(libc::SYS_prctl, ", 1, 0, 0, 0, 0"),
        by_number(libc::SYS_shmget, ", 0, 4096, 0o1600"),
        #[cfg(target_arch = "x86_64")]
        by_number(0x4000_0000 | libc::SYS_getpid, ""),
        format!("os.kill({worker}, 0)"),
        "os.kill(-1, 0)".to_owned(),
        "os.kill(1, 0)".to_owned(),
        "os.setuid(0); open('/etc/shadow')".to_owned(),
    ];
    try_all(&bench, &attempts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    is_healthy(&bench).await;
}

#[tokio::test]
async fn no_descriptor_of_the_worker_is_inherited() {
    use std::os::fd::AsRawFd;

    let bench = Bench::new();
    let secret = tempfile::tempfile().unwrap();
    // As a careless library would leave it.
    rustix::io::fcntl_setfd(&secret, rustix::io::FdFlags::empty()).unwrap();
    let ended = bench
        .python(&format!(
            "import os\nfor fd in range(3, 256):\n    try: print(fd, os.fstat(fd))\n    except OSError: pass\nprint({})",
            secret.as_raw_fd()
        ))
        .await;
    // The interpreter holds its script while it reads it.
    let inherited: Vec<_> = ended.out.lines().filter(|line| line.contains("st_size=0")).collect();
    assert!(inherited.is_empty(), "{inherited:?}");
    assert!(!ended.out.starts_with(&format!("{} ", secret.as_raw_fd())), "{}", ended.out);
}

#[tokio::test]
async fn a_fork_bomb_is_ended() {
    // The kernel counts the processes of every user but root: a worker that is root and gives its programs no users of
    // their own has only the watch, which this outruns.
    let bench = Bench::new();
    let bomb = "import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n    try: os.fork()\n    except OSError: pass\n";
    let mut program = bench.script("python3", bomb);
    program.limits = Limits { processes: 20, cpu_seconds: 2, ..Limits::default() };
    let ended = bench.run(program).await;
    assert!(ended.exit.excess.is_some() || !ended.exit.status.success(), "{ended:?}");
    is_healthy(&bench).await;
}

#[tokio::test]
async fn memory_is_bounded_for_one_process_and_for_all_together() {
    let bench = Bench::new();
    let limits = Limits { memory_bytes: 200 << 20, ..Limits::default() };
    let mut program = bench.script("python3", "block = bytearray(10 << 30)\n");
    program.limits = limits.clone();
    let ended = bench.run(program).await;
    assert!(ended.err.contains("MemoryError"), "{ended:?}");

    let share = "import os, time\nfor _ in range(4):\n    if os.fork() == 0: break\n\
        block = bytearray(b'x') * (120 << 20)\ntime.sleep(60)\n";
    let mut program = bench.script("python3", share);
    program.limits = limits;
    let ended = bench.run(program).await;
    assert_eq!(ended.exit.excess, Some(Excess::Memory(200 << 20)), "{ended:?}");
    assert_eq!(ended.exit.to_string(), "was ended because it used more memory than the 200 MiB it may");
    is_healthy(&bench).await;
}

#[tokio::test]
async fn processor_time_is_bounded() {
    let bench = Bench::new();
    let mut program = bench.script("python3", "while True: pass\n");
    program.limits = Limits { cpu_seconds: 1, ..Limits::default() };
    let ended = bench.run(program).await;
    assert!(ended.exit.to_string().contains("more processor time"), "{ended:?}");
}

#[tokio::test]
async fn a_full_disk_is_prevented_by_the_size_of_a_file_and_of_the_folder() {
    let bench = Bench::new();
    let limits = Limits { file_bytes: 1 << 20, folder_bytes: 5 << 20, ..Limits::default() };
    let mut program = bench.script("sh", "exec head -c 100000000 /dev/zero > $TMPDIR/big");
    program.limits = limits.clone();
    let ended = bench.run(program).await;
    assert_eq!(ended.exit.to_string(), "was ended because it wrote a larger file than it may");

    let many = "i=0; while :; do head -c 1000000 /dev/zero > $TMPDIR/$i; i=$((i+1)); done";
    let mut program = bench.script("sh", many);
    program.limits = limits;
    let ended = bench.run(program).await;
    assert_eq!(ended.exit.excess, Some(Excess::Folder(5 << 20)), "{ended:?}");
    until(|| crate::harness::is_empty(bench.sandbox.folder())).await;
    is_healthy(&bench).await;
}

#[tokio::test]
async fn the_folder_of_another_program_cannot_be_entered() {
    for bench in [Bench::new(), Bench::without_users()] {
        let mut program = bench.script("sh", "echo secret > $TMPDIR/mine; echo $TMPDIR; read line");
        program.args.push("first".to_owned());
        let mut first = bench.start(program).await.unwrap();
        let folder = first.folder().to_str().unwrap().to_owned();
        until(|| std::path::Path::new(&folder).join("mine").exists()).await;
        let attempts = [format!("open('{folder}/mine').read()"), format!("os.listdir('{folder}')")];
        try_all(&bench, &attempts.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert!(first.is_running());
    }
}

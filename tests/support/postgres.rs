//! Real PostgreSQL servers for tests: made in a temporary folder, run by an unprivileged user on a Unix socket, and
//! ended with the process that started them, however it ends.

#[path = "port.rs"]
pub mod port;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for a server to do what it was told; a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// The port that names a server's socket where nothing else is asked for.
const PORT: u16 = 5432;
/// The name of that socket in the server's folder.
const SOCKET: &str = ".s.PGSQL.5432";

/// Ends the server and removes its folder when its standard input ends: that is, when the test's process does.
const GUARD: &str = r#"
folder=$1; shift
"$@" >>"$folder/log" 2>&1 &
server=$!
echo started
read -r _
kill -CONT $(cat "$folder/pids" 2>/dev/null) 2>/dev/null
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$folder"
"#;

/// A server.
pub struct Cluster {
    folder: PathBuf,
    /// Names its socket too; on the network only where it is asked for.
    port: u16,
    guard: Child,
    input: Option<ChildStdin>,
}

/// The folder with the server's programs.
pub fn programs() -> PathBuf {
    let newest = fs::read_dir("/usr/lib/postgresql").ok().and_then(|folders| {
        folders
            .filter_map(Result::ok)
            .map(|folder| folder.path().join("bin"))
            .filter(|bin| bin.join("initdb").exists())
            .max()
    });
    newest.expect("PostgreSQL is installed: `make install`")
}

/// A command of the server's, under the user that may run it: never root, since initdb refuses.
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group);
    }
    command.current_dir("/tmp");
    command
}

/// Whom root becomes; nobody where we are not root.
fn unprivileged() -> Option<(u32, u32)> {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = users.lines().find(|line| line.starts_with("postgres:"));
    let user = user.or_else(|| users.lines().find(|line| line.starts_with("nobody:"))).unwrap();
    let fields: Vec<&str> = user.split(':').collect();
    root.then(|| (fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn new_folder() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("fourth-pg-").tempdir().unwrap().keep();
    if let Some((user, group)) = unprivileged() {
        chown(&folder, Some(user), Some(group)).unwrap();
    }
    folder
}

impl Cluster {
    /// A new server. `fsync` is off unless asked for: what these tests kill is a process, not the power.
    pub fn start(settings: &[&str]) -> Self {
        let folder = Self::made(settings);
        Self::run(folder, PORT, "")
    }

    /// As [`Cluster::start`], also on `localhost` and there under TLS with this certificate and key, both PEM.
    pub fn start_under_tls(certificate: &str, key: &str) -> Self {
        let folder = Self::made(&["ssl = on", "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'"]);
        for (name, pem) in [("server.crt", certificate), ("server.key", key)] {
            let path = folder.join("data").join(name);
            fs::write(&path, pem).unwrap();
            // The server uses no key that others could read.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            if let Some((user, group)) = unprivileged() {
                chown(&path, Some(user), Some(group)).unwrap();
            }
        }
        let port = port::free_port();
        Self::run(folder, port, "localhost")
    }

    /// A folder with a database that no server runs on yet.
    fn made(settings: &[&str]) -> PathBuf {
        let folder = new_folder();
        let data = folder.join("data");
        done(command(programs().join("initdb")).args(["-D", data.to_str().unwrap()]).args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale",
            "C",
            "--no-sync",
        ]));
        let given = ["fsync = off", "max_connections = 60", "shared_buffers = 16MB", "log_min_messages = warning"];
        write_settings(&data, given.iter().chain(settings));
        folder
    }

    /// A standby of this server, streaming and named `standby`.
    pub fn standby(&self) -> Self {
        let folder = new_folder();
        let data = folder.join("data");
        done(command(programs().join("pg_basebackup")).args(["-D", data.to_str().unwrap(), "-U", "postgres"]).args([
            "-h",
            self.folder.to_str().unwrap(),
            "-R",
            "-c",
            "fast",
            "--no-sync",
        ]));
        let socket = self.folder.display();
        let from = format!("primary_conninfo = 'host={socket} user=postgres application_name=standby'");
        write_settings(&data, [&from.as_str(), &"hot_standby = on"].into_iter());
        let standby = Self::run(folder, PORT, "");
        self.until("the standby streams", "SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'");
        standby
    }

    fn run(folder: PathBuf, port: u16, addresses: &str) -> Self {
        let data = folder.join("data");
        let mut guard = command("/bin/sh")
            .args(["-c", GUARD, "guard", folder.to_str().unwrap()])
            .arg(programs().join("postgres"))
            .args(["-D", data.to_str().unwrap(), "-k", folder.to_str().unwrap(), "-p", &port.to_string()])
            .args(["-c", &format!("listen_addresses={addresses}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(guard.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let input = guard.stdin.take();
        let cluster = Self { folder, port, guard, input };
        cluster.answers();
        cluster
    }

    fn answers(&self) {
        let started = Instant::now();
        let asked = || {
            let mut ask = command(programs().join("pg_isready"));
            ask.args(["-q", "-h", self.folder.to_str().unwrap(), "-p", &self.port.to_string()])
                .status()
                .unwrap()
                .success()
        };
        while !asked() {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(started.elapsed() < PATIENCE, "the server does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where it is, for one server or, with others, for whichever of them is the primary.
    pub fn url(&self, others: &[&Self]) -> String {
        let all: Vec<String> =
            std::iter::once(self).chain(others.iter().copied()).map(|one| one.folder.display().to_string()).collect();
        format!("host={} user=postgres dbname=postgres", all.join(","))
    }

    /// Where it is on the network.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs SQL and gives what it says, unaligned.
    pub fn sql(&self, sql: &str) -> String {
        let psql = programs().join("psql");
        let folder = self.folder.to_str().unwrap();
        done(command(psql).args([
            "-h",
            folder,
            "-p",
            &self.port.to_string(),
            "-U",
            "postgres",
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
        ]))
        .trim()
        .to_owned()
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// Runs one statement in many sessions for a time with the server's own tool; gives transactions a second.
    pub fn pgbench(&self, statement: &str, clients: usize, duration: Duration) -> f64 {
        let script = self.folder.join("script.sql");
        fs::write(&script, statement).unwrap();
        let told = done(command(programs().join("pgbench")).args([
            "-h",
            self.folder.to_str().unwrap(),
            "-U",
            "postgres",
            "-n",
            "-M",
            "prepared",
            "-j",
            "2",
            "-c",
            &clients.to_string(),
            "-T",
            &duration.as_secs().to_string(),
            "-f",
            script.to_str().unwrap(),
            "postgres",
        ]));
        let line = told.lines().find(|line| line.starts_with("tps = ")).expect("pgbench tells its tps");
        line.split_whitespace().nth(2).unwrap().parse().unwrap()
    }

    /// Waits until a question is answered with true.
    pub fn until(&self, what: &str, sql: &str) {
        let started = Instant::now();
        while self.sql(sql) != "t" {
            assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until an adapter has been giving signs of life for longer than a lease (3 s): only then does it take another for dead.
    pub fn until_patient(&self, adapter: &str) {
        let keeps = format!(
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'fourth {adapter}' \
             AND query ~ 'sign_of_life|NOTIFY|LISTEN' AND backend_start < clock_timestamp() - interval '3500 milliseconds'"
        );
        self.until("it has been there for a lease's time", &keeps);
    }

    /// Changes a setting and waits until every session has it.
    pub fn set(&self, name: &str, value: &str) {
        self.sql(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        self.sql("SELECT pg_reload_conf()");
        self.until("the setting is in force", &format!("SELECT current_setting('{name}') = '{value}'"));
    }

    fn postmaster(&self) -> String {
        let file = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        file.lines().next().unwrap().to_owned()
    }

    /// Every process of the server.
    fn processes(&self) -> Vec<String> {
        let postmaster = self.postmaster();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &postmaster]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        std::iter::once(postmaster).chain(children.split_whitespace().map(str::to_owned)).collect()
    }

    fn signal(&self, signal: &str, processes: &[String]) {
        // A session may have ended meanwhile.
        let _ = Command::new("kill").arg(signal).args(processes).stderr(Stdio::null()).status().unwrap();
    }

    /// Stops the whole server where it stands: connections stay open and nothing answers.
    pub fn freeze(&self) {
        let processes = self.processes();
        fs::write(self.folder.join("pids"), processes.join(" ")).unwrap();
        self.signal("-STOP", &processes);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT", &self.processes());
    }

    /// `kill -9`, all of it at once, as a machine that is gone.
    pub fn kill(&self) {
        self.signal("-KILL", &self.processes());
    }

    /// A standby becomes the primary.
    pub fn promote(&self) {
        self.sql("SELECT pg_promote()");
    }

    /// Stops the server where it stands; [`Cluster::start_again`] recovers it.
    pub fn stop(&self) {
        let data = self.folder.join("data");
        done(command(programs().join("pg_ctl")).args(["stop", "-m", "immediate", "-w", "-s", "-D"]).arg(data));
    }

    /// Starts a server that was stopped or killed, in its old place.
    pub fn start_again(&self) {
        self.control("start");
    }

    /// Restarts the server in place: sessions are cut off, what was committed is recovered.
    pub fn restart(&self) {
        self.control("restart");
    }

    fn control(&self, what: &str) {
        let data = self.folder.join("data");
        let options = format!("-k {} -c listen_addresses=", self.folder.display());
        let log = self.folder.join("log");
        let immediate: &[&str] = if what == "restart" { &["-m", "immediate"] } else { &[] };
        done(
            command(programs().join("pg_ctl"))
                .arg(what)
                .args(immediate)
                .args(["-w", "-s", "-D"])
                .arg(data)
                .args(["-o", &options, "-l", log.to_str().unwrap()])
                // It would be held open by the server, and nobody's reading of it would end.
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
    }
}

/// The line between one adapter and a server: it can be cut, and mended.
pub struct Line {
    folder: tempfile::TempDir,
    cut: Arc<AtomicBool>,
}

impl Line {
    /// A whole line to a server.
    pub fn to(cluster: &Cluster) -> Self {
        let folder = tempfile::Builder::new().prefix("fourth-line-").tempdir().unwrap();
        let (near, far) = (folder.path().join(SOCKET), cluster.folder.join(SOCKET));
        let listener = UnixListener::bind(near).unwrap();
        let cut = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&cut);
        // Ends with the process: it holds nothing but the two ends of each connection.
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = if seen.load(Ordering::SeqCst) { None } else { UnixStream::connect(&far).ok() };
                let Some(far) = far else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to, cut) = (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(&seen));
                    std::thread::spawn(move || carry(from, to, &cut));
                }
            }
        });
        Self { folder, cut }
    }

    /// Where the adapter finds it.
    pub fn url(&self) -> String {
        format!("host={} user=postgres dbname=postgres", self.folder.path().display())
    }

    /// From now on nothing gets through, and what was connected is parted.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// New connections get through again.
    pub fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

/// Carries bytes until the line is cut or an end closes.
fn carry(mut from: UnixStream, mut to: UnixStream, cut: &AtomicBool) {
    from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut bytes = [0; 16 * 1024];
    loop {
        match from.read(&mut bytes) {
            _ if cut.load(Ordering::SeqCst) => break,
            Ok(0) => break,
            Ok(count) if to.write_all(&bytes[..count]).is_err() => break,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A restarted server is no child of the guard any more.
        if let Ok(file) = fs::read_to_string(self.folder.join("data/postmaster.pid")) {
            let processes = self.processes();
            self.signal("-CONT", &processes);
            self.signal("-QUIT", &[file.lines().next().unwrap_or_default().to_owned()]);
        }
        drop(self.input.take());
        let _ = self.guard.wait();
    }
}

fn write_settings<'a>(data: &Path, settings: impl Iterator<Item = &'a &'a str>) {
    let lines: String = settings.map(|line| format!("{line}\n")).collect();
    let file = data.join("postgresql.auto.conf");
    let before = fs::read_to_string(&file).unwrap();
    fs::write(file, format!("{before}{lines}")).unwrap();
}

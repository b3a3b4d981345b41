//! The same scripts, run with the official client and with ours, against one official server: both must see the same, in the
//! same order, and so must the server of both.
//!
//! A script is a file of [`differential/`](differential), which `tests/js/README.md` describes. Where we differ on purpose is
//! in the file of the script, or for all of them in `differences.json`: what is told, by either side, and why. A difference
//! that is not there any more fails the test, too. `SOCKEYE_SCRIPT=acks` runs one script.

use std::{
    any::Any,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use async_std::{
    channel::{Receiver, Sender, unbounded},
    future::timeout,
};
use serde_json::{Value as Json, json};
use sockeye_driver::{
    Ack, RawArgs,
    client::{Client, ClientBuilder, Config, DisconnectReason, Error, ManagerEvent, SocketBuilder},
};

use crate::{
    counterpart::{World, control_port, js},
    runtimes::{MODE_NAMES, MODES, OneThread, PATIENCE, RUNTIMES, mode, until},
    values::{self, Answer, Arguments, arguments},
};

#[test]
fn both_clients_see_the_same() {
    let (scripts, general) = read();
    let (files, port) = (scripts.keys().cloned().collect(), control_port());
    let theirs = thread::spawn(move || run_official(port, files));
    let ours = run_all(&scripts);
    let theirs = theirs.join().expect("the official client comes to the end of each script");
    assert_eq!(theirs.len(), scripts.len() * MODES.len());

    let (mut differences, mut failures) = (Differences::new(&general), Vec::new());
    for theirs in theirs {
        let (name, mode) = (theirs["script"].as_str().unwrap(), theirs["mode"].as_str().unwrap());
        let script = scripts.iter().find(|(path, _)| path.ends_with(name)).unwrap().1;
        for runtime in RUNTIMES {
            let key = format!("{name}, {mode}, {runtime:?}");
            let mut own = Differences::of_mode(&script["differences"], mode);
            let compared = ours[&key].as_ref().map_err(Clone::clone).and_then(|ours| {
                let mut known = [&mut own, &mut differences];
                compare(&theirs["client"], &ours["client"], &mut known)?;
                match script["server log"] == json!(false) {
                    true => Ok(()),
                    false => compare(&theirs["server"], &ours["server"], &mut known)
                        .map_err(|why| format!("what the server saw\n{why}")),
                }
            });
            match compared {
                Ok(()) => failures.extend(own.unseen().map(|why| format!("{key}: we do not differ any more: {why}"))),
                Err(why) => failures.push(format!("{key}: {why}")),
            }
        }
    }
    if std::env::var("SOCKEYE_SCRIPT").is_err() {
        failures.extend(differences.unseen().map(|why| format!("we do not differ any more: {why}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The scripts by their files, and what we do otherwise in all of them.
fn read() -> (BTreeMap<PathBuf, Json>, Json) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/differential");
    let (mut scripts, mut general) = (BTreeMap::new(), Json::Null);
    let alone = std::env::var("SOCKEYE_SCRIPT").ok();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let parsed = serde_json::from_slice(&fs::read(&path).unwrap());
        let parsed: Json = parsed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_stem().unwrap();
        if name == "differences" {
            general = parsed;
        } else if alone.as_ref().is_none_or(|alone| name == alone.as_str()) {
            scripts.insert(path, parsed);
        }
    }
    (scripts, general)
}

/// Has the official client run these files in all modes: what was seen.
fn run_official(port: u16, files: Vec<PathBuf>) -> Vec<Json> {
    let mut node = Command::new("node")
        .arg(js("differential.mjs"))
        .arg(port.to_string())
        .args(files)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It ends with it.
    let _stdin = node.stdin.take();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What we do otherwise, and how often it was seen.
struct Differences(Vec<(Json, usize)>);

impl Differences {
    fn new(list: &Json) -> Self {
        Self(list.as_array().into_iter().flatten().map(|difference| (difference.clone(), 0)).collect())
    }

    /// Those that are of this mode, or of all.
    fn of_mode(list: &Json, mode: &str) -> Self {
        let mut all = Self::new(list);
        all.0.retain(|(difference, _)| {
            difference.get("modes").is_none_or(|modes| modes.as_array().unwrap().contains(&mode.into()))
        });
        all
    }

    fn unseen(&self) -> impl Iterator<Item = &Json> {
        self.0.iter().filter(|(_, seen)| *seen == 0).map(|(difference, _)| difference)
    }
}

/// Compares two logs line by line, where they do not differ as is known.
fn compare(theirs: &Json, ours: &Json, known: &mut [&mut Differences]) -> Result<(), String> {
    let (theirs, ours) = (theirs.as_array().unwrap(), ours.as_array().unwrap());
    let (mut at, mut our) = (0, 0);
    while at < theirs.len() || our < ours.len() {
        if at < theirs.len() && theirs.get(at) == ours.get(our) {
            (at, our) = (at + 1, our + 1);
            continue;
        }
        let found = known.iter_mut().flat_map(|differences| &mut differences.0).find_map(|(difference, seen)| {
            let (theirs, ours) = consumed(difference, &theirs[at..], &ours[our..])?;
            *seen += 1;
            Some((theirs, ours))
        });
        let Some(consumed) = found else {
            let show = |log: &[Json], from: usize| {
                let lines = log.iter().enumerate().skip(from.saturating_sub(3)).take(12);
                lines
                    .map(|(index, line)| format!("  {}{line}\n", if index == from { "> " } else { "  " }))
                    .collect::<String>()
            };
            return Err(format!("JavaScript:\n{}ours:\n{}", show(theirs, at), show(ours, our)));
        };
        (at, our) = (at + consumed.0, our + consumed.1);
    }
    Ok(())
}

/// How many lines of each log this difference is about, if it begins here: some in place of others, or one that comes behind
/// others.
fn consumed(difference: &Json, theirs: &[Json], ours: &[Json]) -> Option<(usize, usize)> {
    let Some(moved) = difference.get("moved") else {
        let count = |log: &[Json], side: &str| {
            let lines = difference[side].as_array().unwrap();
            log.starts_with(lines).then_some(lines.len())
        };
        return Some((count(theirs, "javascript")?, count(ours, "ours")?));
    };
    let (first, rest) = theirs.split_first()?;
    let behind = ours.iter().position(|line| line == moved)?;
    let kinds = difference["behind"].as_array().unwrap();
    let is_moved = first == moved && rest.starts_with(&ours[..behind]);
    (is_moved && ours[..behind].iter().all(|line| kinds.contains(&line[1]))).then_some((behind + 1, behind + 1))
}

/// Runs all scripts in all modes on both runtimes, all at once: what was seen, by script, mode and runtime.
fn run_all(scripts: &BTreeMap<PathBuf, Json>) -> BTreeMap<String, Result<Json, String>> {
    let mut runs = Vec::new();
    for (path, script) in scripts {
        for runtime in RUNTIMES {
            for (index, mode) in MODE_NAMES.iter().enumerate() {
                let key = format!("{}, {mode}, {runtime:?}", path.file_name().unwrap().display());
                let script = script.clone();
                let run = thread::spawn(move || {
                    let (thread, tasks) = OneThread::on(runtime);
                    runtime.run(tasks.drive(run(script, thread, index)))
                });
                runs.push((key, run));
            }
        }
    }
    let text = |panic: Box<dyn Any + Send>| panic.downcast_ref::<String>().cloned().unwrap_or_default();
    runs.into_iter().map(|(key, run)| (key, run.join().map_err(text))).collect()
}

/// What a client saw.
#[derive(Clone)]
struct Log {
    lines: Arc<Mutex<Vec<Json>>>,
    changed: Sender<()>,
}

impl Log {
    fn add(&self, line: Json) {
        self.lines.lock().unwrap().push(line);
        // The test may be over.
        let _ = self.changed.try_send(());
    }
}

/// A run of a script by our client.
struct Run {
    script: Json,
    mode: usize,
    world: World,
    first: Option<ClientBuilder>,
    sockets: BTreeMap<String, Client>,
    log: Log,
    changed: Receiver<()>,
    /// The lines up to here were awaited.
    awaited: usize,
}

async fn run(script: Json, thread: Arc<OneThread>, index: usize) -> Json {
    let mut world = World::empty();
    let options = script.get("server").cloned().unwrap_or_else(|| json!({}));
    world.listen(json!({ "options": options, "heartbeat": script["heartbeat"] })).await;
    world.proxy().await;
    let options = script["client"].clone();
    let builder = thread.client(&world.url("/")).config(mode(index)).config(|config| configure(config, &options));
    let (sender, changed) = unbounded();
    let log = Log { lines: Arc::default(), changed: sender };
    let steps = script["steps"].as_array().unwrap().clone();
    let mut run =
        Run { script, mode: index, world, first: Some(builder), sockets: BTreeMap::new(), log, changed, awaited: 0 };
    for step in &steps {
        run.step(step.as_array().unwrap()).await;
    }
    let server = match run.script["server log"] == json!(false) {
        true => Json::Null,
        false => run.world.tell("finish", json!({})).await["seen"].take(),
    };
    let client = std::mem::take(&mut *run.log.lines.lock().unwrap());
    json!({ "client": client, "server": server })
}

/// Options by their names in JavaScript.
fn configure(config: &mut Config, options: &Json) {
    for (name, value) in options.as_object().into_iter().flatten() {
        match name.as_str() {
            "reconnection" => config.reconnection = value.as_bool().unwrap(),
            "reconnectionAttempts" => config.reconnection_attempts = value.as_u64().and_then(|n| u32::try_from(n).ok()),
            "timeout" => config.timeout = value.as_u64().map(Duration::from_millis),
            "reconnectionDelay" => config.reconnection_delay = Duration::from_millis(value.as_u64().unwrap()),
            "reconnectionDelayMax" => config.reconnection_delay_max = Duration::from_millis(value.as_u64().unwrap()),
            other => panic!("no such option: {other}"),
        }
    }
}

/// Sets up a namespace, on either builder.
macro_rules! set_up {
    ($builder:expr, $options:expr) => {{
        let (mut builder, options) = ($builder, $options);
        for (name, value) in options.as_object().into_iter().flatten() {
            builder = match name.as_str() {
                "auth" => builder.auth(value).unwrap(),
                "provider" => {
                    let asked = std::sync::atomic::AtomicU64::new(0);
                    builder.auth_with(move |_| {
                        let asked = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        std::future::ready(Ok::<_, sockeye_driver::BoxError>(json!({ "asked": asked })))
                    })
                }
                "retries" => builder.retries(value.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap()),
                "ackTimeout" => builder.ack_timeout(Duration::from_millis(value.as_u64().unwrap())),
                other => panic!("no such option: {other}"),
            };
        }
        builder
    }};
}

impl Run {
    async fn step(&mut self, step: &[Json]) {
        let text = |index: usize| step[index].as_str().unwrap();
        let rest = |from: usize| Arguments(step[from..].to_vec());
        match text(0) {
            "connect" => self.socket(text(1)).open(),
            "disconnect" => self.socket(text(1)).disconnect(),
            "emit" => {
                if let Err(error) = self.socket(text(1)).emit(text(2), &rest(3)) {
                    self.log.add(json!([text(1), "failed", error.to_string()]));
                }
            }
            "many" => {
                let socket = self.socket(text(1));
                for number in 0..step[2].as_u64().unwrap() {
                    let mut args = rest(4);
                    args.0.insert(0, number.into());
                    socket.emit(text(3), &args).unwrap();
                }
            }
            "volatile" => {
                self.socket(text(1)).volatile().emit(text(2), &rest(3)).unwrap();
            }
            "ask" => {
                let socket = self.socket(text(1));
                let (log, nsp, label) = (self.log.clone(), step[1].clone(), step[2].clone());
                let answered = move |answer: Result<Answer, sockeye_driver::AckError>| {
                    let answer = answer.map_or_else(|error| error.to_string().into(), |Answer(args)| Json::Array(args));
                    log.add(json!([nsp, "ack", label, answer]));
                };
                match step[3].as_u64() {
                    Some(millis) => {
                        socket.timeout(Duration::from_millis(millis)).emit_then(text(4), &rest(5), answered).unwrap();
                    }
                    None => socket.emit_then(text(4), &rest(5), answered).unwrap(),
                }
            }
            "open" => self.any().manager().open(),
            "close" => self.any().manager().close(),
            "state" => {
                let socket = self.socket(text(1));
                let line = json!([text(1), "state", socket.is_connected(), socket.is_active(), socket.id().is_some()]);
                self.log.add(line);
            }
            "await" => self.wait(&step[1..]).await,
            "settled" => {
                let (last, socket) = (MODES[self.mode].0.last().map(|last| last.as_str()), self.any());
                until("the connection is on its last transport", || socket.transport() == last).await;
            }
            "server" => {
                let given = step.get(2).cloned().unwrap_or_else(|| json!({}));
                self.world.tell(text(1), given).await;
            }
            other => panic!("no such step: {other}"),
        }
    }

    fn any(&self) -> Client {
        self.sockets.values().next().unwrap().clone()
    }

    fn socket(&mut self, nsp: &str) -> Client {
        if let Some(socket) = self.sockets.get(nsp) {
            return socket.clone();
        }
        let options = &self.script["sockets"][nsp];
        let socket = match self.first.take() {
            // Of the URL, whatever the script begins with.
            Some(builder) if nsp == "/" => {
                let client = set_up!(builder, options).auto_connect(false).start().unwrap();
                self.watch_manager(&client);
                client
            }
            Some(_) => panic!("a script begins with the main namespace"),
            None => {
                let builder: SocketBuilder = self.any().of(nsp);
                set_up!(builder, options).start()
            }
        };
        self.watch(nsp, &socket);
        self.sockets.insert(nsp.to_owned(), socket.clone());
        socket
    }

    fn watch_manager(&self, client: &Client) {
        let log = self.log.clone();
        client.manager().on(move |event| {
            let (name, detail) = match event {
                ManagerEvent::Open => ("open", Json::Null),
                ManagerEvent::Error(error) => ("error", error.to_string().into()),
                ManagerEvent::Close { reason, .. } => ("close", reason.to_string().into()),
                ManagerEvent::ReconnectAttempt { attempt, .. } => ("reconnect_attempt", json!(attempt)),
                ManagerEvent::Reconnect { attempt } => ("reconnect", json!(attempt)),
                ManagerEvent::ReconnectError(error) => ("reconnect_error", error.to_string().into()),
                ManagerEvent::ReconnectFailed => ("reconnect_failed", Json::Null),
                _ => return,
            };
            log.add(json!(["manager", name, detail]));
        });
    }

    fn watch(&self, nsp: &str, socket: &Client) {
        let nsp: Json = nsp.into();
        let (log, name) = (self.log.clone(), nsp.clone());
        socket.on_connect(move |socket: Client| {
            log.add(json!([name, "connect", socket.is_recovered()]));
            std::future::ready(())
        });
        let (log, name) = (self.log.clone(), nsp.clone());
        socket.on_connect_error(move |error: Error| {
            let data = match &error {
                Error::Refused(refusal) => {
                    refusal.data.as_ref().map(|data| serde_json::from_str::<Json>(data.raw()).unwrap())
                }
                _ => None,
            };
            log.add(json!([name, "connect_error", error.to_string(), data]));
            std::future::ready(())
        });
        let (log, name) = (self.log.clone(), nsp.clone());
        socket.on_disconnect(move |reason: DisconnectReason| {
            log.add(json!([name, "disconnect", reason.to_string()]));
            std::future::ready(())
        });
        let (log, name) = (self.log.clone(), nsp.clone());
        let recovery = self.script["recovery"] == json!(true);
        let arguments = move |args: &RawArgs| if recovery { without_offset(arguments(args)) } else { arguments(args) };
        socket.on_any(move |event| log.add(json!([name, "any", event.name(), arguments(event.args())])));
        let (log, name) = (self.log.clone(), nsp.clone());
        let sent = values::arguments;
        socket.on_any_outgoing(move |event| log.add(json!([name, "out", event.name(), sent(event.args())])));
        for event in self.script["listen"].as_array().into_iter().flatten() {
            let answer = self.script["answers"].get(event.as_str().unwrap()).and_then(Json::as_array).cloned();
            let (log, name, event_name) = (self.log.clone(), nsp.clone(), event.clone());
            socket.on(event.as_str().unwrap(), move |args: RawArgs, ack: Ack| {
                log.add(json!([name, "event", event_name, arguments(&args), ack.is_requested()]));
                if let Some(answer) = answer.as_ref().filter(|_| ack.is_requested()) {
                    ack.send(&Arguments(answer.clone())).unwrap();
                }
                std::future::ready(())
            });
        }
    }

    /// Waits for a line that begins so, behind the one that was awaited before.
    async fn wait(&mut self, prefix: &[Json]) {
        let found = timeout(PATIENCE, async {
            loop {
                let found = self.find(prefix);
                if found.is_some() {
                    return found;
                }
                self.changed.recv().await.unwrap();
            }
        });
        match found.await.ok().flatten() {
            Some(line) => self.awaited = line + 1,
            None => {
                let lines = json!(*self.log.lines.lock().unwrap());
                panic!("{}: {prefix:?} behind {} of {lines}", self.script["name"], self.awaited)
            }
        }
    }

    fn find(&self, prefix: &[Json]) -> Option<usize> {
        let lines = self.log.lines.lock().unwrap();
        let begins = |line: &Json| line.as_array().unwrap().starts_with(prefix);
        Some(self.awaited + lines[self.awaited..].iter().position(begins)?)
    }
}

/// Events of a server with recovery have a last argument that is different each time.
fn without_offset(mut args: Json) -> Json {
    let all = args.as_array_mut().unwrap();
    let last = all.last().and_then(Json::as_str).unwrap_or_default();
    let is_of_one = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if (7..=64).contains(&last.len()) && last.bytes().all(is_of_one) {
        all.pop();
    }
    args
}

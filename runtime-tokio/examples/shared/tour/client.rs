//! The client half of the tour, which also says when its steps are done.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use super::{
    Extra, Status, User,
    lines::{Steps, Who, say},
    server,
};
use crate::sockeye::{
    client::{AuthRequest, ClientError, DisconnectReason, Error, ManagerEvent},
    prelude::*,
};

type Done = Result<(), BoxError>;

/// As long as nobody waits.
const HOUR: Duration = Duration::from_secs(3_600);

pub(super) async fn tour() -> Done {
    let mut steps = Steps::begin();
    let listening = server::listen(([127, 0, 0, 1], 0).into()).await?;
    let address = listening.local_addr();
    let url = format!("http://{address}");

    refusal(&mut steps, &url).await?;
    let (ada, grace) = (user(&url, Who::Ada)?, user(&url, Who::Grace)?);
    connecting(&mut steps, &ada, &grace).await?;
    events(&mut steps, &ada).await?;
    acknowledgements(&mut steps, &ada).await?;
    listeners(&mut steps, &ada, &grace).await?;
    rooms(&mut steps, &ada, &grace).await?;
    let admin = namespaces(&mut steps, &ada).await?;
    selections(&mut steps, &ada, &grace, &admin).await?;
    disconnecting(&mut steps, &ada, &admin).await?;
    drop((admin, grace));

    away(&mut steps, &ada, &listening).await?;
    let listening = back(&mut steps, &ada, || server::listen(address)).await?;
    gone(&mut steps, &ada, &listening).await
}

/// The namespace is not connected: an error with what a middleware gave.
async fn refusal(steps: &mut Steps, url: &str) -> Done {
    steps
        .step("A middleware refuses", 2, async {
            match Client::builder(url).connect().await {
                Err(ClientError::Connect(Error::Refused(refusal))) => {
                    let data = refusal.data.as_ref().map_or("nothing", |data| data.raw());
                    say(Who::Ada, format!("refused: {}, with {data}", refusal.message));
                }
                other => say(Who::Ada, format!("not refused: {other:?}")),
            }
            Ok(())
        })
        .await
}

/// A client that is set up, and does not connect yet: so its listeners miss nothing.
fn user(url: &str, who: Who) -> Result<Client, BoxError> {
    let client = Client::builder(url)
        .config(|config| {
            config.query = vec![("from".into(), "a tour".into())];
            // Here the tour says when to try again; the defaults are a second, then two, up to five, without end.
            (config.reconnection_delay, config.reconnection_delay_max) = (HOUR, HOUR);
            config.reconnection_attempts = Some(1);
        })
        // Asked for each connection; what never changes is given to `auth`.
        .auth_with(move |_: AuthRequest| async move {
            say(who, "says who it is");
            Ok::<_, BoxError>(User { name: who.to_string() })
        })
        .auto_connect(false)
        .start()?;
    client.on_connect(move |client: Client| async move { say(who, format!("connected to {}", client.namespace())) });
    client.on_connect_error(move |client: Client, error: Error| async move {
        // Behind the colon are the words of the operating system.
        let error = error.to_string();
        let text = error.split_once(':').map_or(&*error, |(text, _)| text);
        say(who, format!("not connected: {text}; active: {}", client.is_active()));
    });
    client.on_disconnect(move |client: Client, reason: DisconnectReason| async move {
        say(who, format!("disconnected: {reason}; active: {}", client.is_active()));
    });
    client.on("hello", move |Args((a, b, extra)): Args<(u32, String, Extra)>| async move {
        say(who, format!("hears hello: {a}, {b:?}, {:?} and {} bytes", extra.three, extra.five.len()));
    });
    Ok(client)
}

/// Connecting, and the events of the connection itself.
async fn connecting(steps: &mut Steps, ada: &Client, grace: &Client) -> Done {
    ada.manager().on(|event: &ManagerEvent| {
        say(
            Who::Manager,
            match event {
                ManagerEvent::Open => "open".into(),
                ManagerEvent::Upgrade => "upgrade".into(),
                ManagerEvent::Ping => "ping".into(),
                ManagerEvent::Error(_) => "error".into(),
                ManagerEvent::Close { reason, .. } => format!("close: {reason}"),
                ManagerEvent::ReconnectAttempt { attempt, .. } => format!("reconnect_attempt {attempt}"),
                ManagerEvent::Reconnect { attempt } => format!("reconnect {attempt}"),
                ManagerEvent::ReconnectError(_) => "reconnect_error".into(),
                ManagerEvent::ReconnectFailed => "reconnect_failed".into(),
                other => format!("{other:?}"),
            },
        );
    });
    steps
        .step("Ada connects: with query and auth, over polling, then over WebSocket", 7, async {
            ada.open();
            Ok(())
        })
        .await?;
    steps
        .step("Grace connects", 5, async {
            grace.open();
            Ok(())
        })
        .await
}

/// Any number of arguments, of any kind.
async fn events(steps: &mut Steps, ada: &Client) -> Done {
    steps
        .step("Events have any number of arguments, of any kind", 9, async {
            ada.emit("none", &())?;
            ada.emit("one", &"text")?;
            ada.emit("many", &(1, -2.5, true, None::<u32>, "three"))?;
            ada.emit("a list", &vec![1, 2, 3])?;
            ada.emit("a map", &BTreeMap::from([("x", [1, 2]), ("y", [3, 4])]))?;
            ada.emit("binary", &(Bytes::from_static(&[1, 2]), [Bytes::new()]))?;
            ada.send(&"hi")?;
            ada.emit("hello", &(7, "seven", Extra { three: "three".into(), five: Bytes::from_static(&[1, 2, 3]) }))?;
            Ok(())
        })
        .await?;
    steps
        .step("Arguments of another type are an error of that event alone", 2, async {
            Ok(ada.emit("hello", &"no number")?)
        })
        .await
}

/// Acknowledgements in both directions, by callback and by future, and those that do not come.
async fn acknowledgements(steps: &mut Steps, ada: &Client) -> Done {
    steps
        .step("The server acknowledges", 6, async {
            let answer: Status = ada.emit_with_ack("request", &("tea", 2)).await?;
            say(Who::Ada, format!("by future: {}", answer.status));
            ada.emit_then("request", &("coffee", 1), |answer: Result<Status, AckError>| {
                say(
                    Who::Ada,
                    format!("by callback: {}", answer.map_or_else(|error| error.to_string(), |ok| ok.status)),
                );
            })?;
            Ok(())
        })
        .await?;
    for way in ["callback", "future"] {
        steps
            .step(&format!("The client acknowledges, which the server asked for by {way}"), 4, async {
                ada.once("question", async |Args(question): Args<String>, ack: Ack| {
                    say(Who::Ada, format!("asked {question:?}"));
                    ack.send(&format!("{question} because"))
                });
                Ok(ada.emit(&format!("ask me by {way}"), &HOUR.as_millis())?)
            })
            .await?;
    }
    steps
        .step("Nobody acknowledges, on either side", 5, async {
            let patience = Duration::from_millis(50);
            let answer = ada.timeout(patience).emit_with_ack::<()>("nobody listens to this", &()).await;
            say(Who::Ada, answer.map_or_else(|error| error.to_string(), |()| "an answer".into()));
            Ok(ada.emit("ask me by callback", &patience.as_millis())?)
        })
        .await
}

/// Listeners for one event, for the next one, for all that come or go; what is broadcast is heard by all.
async fn listeners(steps: &mut Steps, ada: &Client, grace: &Client) -> Done {
    let on = |client: &Client, who: Who| {
        client.on("news", move |Args(news): Args<String>| async move { say(who, format!("hears that {news}")) })
    };
    let listener = on(ada, Who::Ada);
    on(grace, Who::Grace);
    ada.once("news", async |Args(news): Args<String>| say(Who::Ada, format!("hears once that {news}")));
    steps
        .step("A broadcast is heard by all, and by a listener for the next event", 9, async {
            ada.emit("news", &"it rains")?;
            Ok(ada.emit("news", &"the sun shines")?)
        })
        .await?;
    let outgoing = ada.on_any_outgoing(|event: &Event<Client>| say(Who::Ada, format!("> {}", show(event))));
    let incoming = grace.on_any(|event: &Event<Client>| say(Who::Grace, format!("< {}", show(event))));
    steps
        .step("Catch-all listeners; a broadcast to all but the sender", 4, async { Ok(ada.emit("shout", &"hear me")?) })
        .await?;
    steps
        .step("Listeners are removed", 4, async {
            let removed = [listener, outgoing, outgoing].map(|listener| ada.off(listener));
            say(Who::Ada, format!("removed: {removed:?}"));
            let removed = (grace.off_all("news"), grace.off(incoming));
            say(Who::Grace, format!("removed: {removed:?}"));
            Ok(ada.emit("news", &"nobody hears")?)
        })
        .await?;

    steps
        .step("A volatile event is sent if it can leave at once", 4, async {
            let _: Status = ada.emit_with_ack("request", &("water", 1)).await?; // Now nothing waits before it.
            let sent = ada.volatile().emit("maybe", &())?;
            say(Who::Ada, format!("sent: {sent}"));
            Ok(())
        })
        .await
}

/// Rooms are the server's; clients ask to be in them.
async fn rooms(steps: &mut Steps, ada: &Client, grace: &Client) -> Done {
    steps
        .step("Rooms are joined", 4, async {
            ada.emit_with_ack::<()>("join", &vec!["red", "blue"]).await?;
            Ok(grace.emit_with_ack::<()>("join", &vec!["red"]).await?)
        })
        .await?;
    ada.once("said", async |Args((name, text)): Args<(String, String)>| {
        say(Who::Ada, format!("hears {name} say {text:?}"));
    });
    steps.step("Who is in a room hears", 3, async { Ok(grace.emit("say", &("blue", "in blue?"))?) }).await?;
    steps
        .step("Who has left it does not", 4, async {
            ada.emit_with_ack::<()>("leave", &"blue").await?;
            Ok(grace.emit("say", &("blue", "and now?"))?)
        })
        .await
}

/// Other namespaces on the same connection.
async fn namespaces(steps: &mut Steps, ada: &Client) -> Result<Client, BoxError> {
    let admin = ada.of("/admin").auth(&User { name: "Grace".into() })?;
    steps
        .step("Namespaces share a connection, and are refused one by one", 2, async {
            for namespace in ["/nowhere", "/admin"] {
                let refused = ada.of(namespace).auth(&User { name: "Ada".into() })?.connect().await;
                say(Who::Ada, refused.map_or_else(|error| format!("{namespace}: {error}"), |_| "connected".into()));
            }
            Ok(())
        })
        .await?;
    let admin = admin.start();
    admin.on("welcome", async |client: Client| {
        say(Who::Ada, format!("welcome to {}, over {}", client.namespace(), client.transport().unwrap_or("nothing")));
    });
    steps
        .step("Another one is connected", 2, async {
            admin.open();
            Ok(())
        })
        .await?;
    Ok(admin)
}

/// What the server does with all sockets of some rooms, for who may ask for that.
async fn selections(steps: &mut Steps, ada: &Client, grace: &Client, admin: &Client) -> Done {
    grace.once("news", async |Args(news): Args<String>| say(Who::Grace, format!("hears: {news}")));
    steps
        .step("Sockets are selected by their rooms", 6, async {
            ada.emit_with_ack::<()>("join", &vec!["blue"]).await?;
            admin.emit("announce", &(["red", "green"], "blue", "red alone"))?;
            let moved: usize = admin.emit_with_ack("gather", &("red", "hall")).await?;
            say(Who::Ada, format!("{moved} are in the hall now"));
            Ok(())
        })
        .await
}

/// Leaving and coming back, by either side.
async fn disconnecting(steps: &mut Steps, ada: &Client, admin: &Client) -> Done {
    let open = async || {
        ada.open();
        Ok(())
    };
    steps
        .step("Ada leaves", 3, async {
            ada.disconnect();
            Ok(())
        })
        .await?;
    // The connection is the one of before: `/admin` is still on it.
    steps.step("Ada comes back", 5, open()).await?;
    steps.step("The server sends Ada away", 4, async { Ok(ada.emit("bye", &())?) }).await?;
    steps.step("And Ada comes back again", 5, open()).await?;
    steps.step("The server disconnects all of a room", 4, async { Ok(admin.emit("close", &"hall")?) }).await?;
    admin.disconnect();
    Ok(())
}

/// The server goes; what is emitted meanwhile waits.
async fn away(steps: &mut Steps, ada: &Client, listening: &Listening) -> Done {
    steps.step("The server goes away", 4, shutdown(listening)).await?;
    steps
        .step("Events wait for it, volatile ones do not", 1, async {
            ada.emit("while you were away", &1)?;
            ada.emit("while you were away", &2)?;
            let sent = ada.volatile().emit("maybe", &())?;
            say(Who::Ada, format!("volatile sent: {sent}; {} wait", ada.buffered().0));
            Ok(())
        })
        .await
}

/// It comes back at the same address.
async fn back<F>(steps: &mut Steps, ada: &Client, listen: impl FnOnce() -> F) -> Result<Listening, BoxError>
where
    F: Future<Output = std::io::Result<Listening>>,
{
    let listening = listen().await?;
    steps
        .step("The server is back, and so is Ada", 11, async {
            ada.manager().open(); // At once, not in an hour.
            Ok(())
        })
        .await?;
    Ok(listening)
}

/// The server goes for good, and the attempts are used up.
async fn gone(steps: &mut Steps, ada: &Client, listening: &Listening) -> Done {
    steps.step("The server goes away again", 4, shutdown(listening)).await?;
    steps
        .step("Ada tries as often as was said, and gives up", 5, async {
            ada.manager().open();
            Ok(())
        })
        .await
}

async fn shutdown(listening: &Listening) -> Done {
    listening.shutdown(Duration::from_secs(10)).await;
    Ok(())
}

/// An event as it is on the wire.
fn show(event: &Event<Client>) -> String {
    format!("{} [{}]", event.name(), event.args().raw())
}

//! Listeners of clients.

use std::{future::ready, thread, time::Duration};

use sockeye_driver::{
    AckError, EmitError,
    client::{Client, DisconnectReason as Reason, Error, ManagerEvent},
};

use crate::{
    net::Net,
    support::{Latch, Log, note, rig, yield_now},
};

#[test]
fn disconnect_handlers_have_what_is_behind_the_reason() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).start().unwrap();
        let log = Log::default();
        let told = log.clone();
        client.on_disconnect(move |client: Client, reason: Reason, details: Option<Error>| {
            told.add(format!("{} {reason} {details:?}", client.namespace()));
            ready(())
        });
        let mut peer = net.join(&rig);
        peer.send("4nonsense");
        rig.run();
        let line = log.take().remove(0);
        assert!(line.starts_with("/ parse error Some(Packet("), "{line}");
        let peer = net.join(&rig);
        peer.end.write(&[0xff, 0xff]);
        rig.run();
        let line = log.take().remove(0);
        assert!(line.starts_with("/ transport error Some(Engine(WebSocket("), "{line}");
        net.join(&rig).socket.get_mut().reset();
        rig.run();
        assert_eq!(log.take(), ["/ transport close Some(Engine(Closed(Eof)))"]);
        net.join(&rig).send("41");
        rig.run();
        assert_eq!(log.take(), ["/ io server disconnect None"]);
    });
}

#[test]
fn what_is_read_while_a_handler_waits_is_looked_at_after_that_handler() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).start().unwrap();
        let log = Log::default();
        let told = log.clone();
        client.on("leave", move |client: Client| {
            let told = told.clone();
            async move {
                yield_now().await;
                told.add("leaves");
                client.disconnect();
            }
        });
        client.on("late", note(&log, "late"));
        let mut peer = net.join(&rig);
        // More than one read takes: the end of the second event is read while the first one's handler is about to go on.
        peer.send("42[\"leave\"]");
        peer.send(&format!("42[\"late\",\"{}\"]", "x".repeat(300 * 1024)));
        rig.run();
        assert_eq!(log.take(), ["leaves"]);
    });
}

#[test]
fn what_is_read_while_auth_is_asked_for_is_looked_at_after_that() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).start().unwrap();
        let mut peer = net.join(&rig);
        let (log, latch) = (Log::default(), Latch::default());
        let (root, told, waiting) = (client.clone(), log.clone(), latch.clone());
        let admin = client
            .of("/admin")
            .auth_with(move |_| {
                let (root, told, waiting) = (root.clone(), told.clone(), waiting.clone());
                async move {
                    waiting.wait().await;
                    told.add("leaves");
                    root.disconnect();
                    Ok::<_, EmitError>(())
                }
            })
            .start();
        admin.open();
        rig.run();
        client.on("leave", move || {
            latch.open();
            ready(())
        });
        client.on("late", note(&log, "late"));
        // More than one read takes: the end of the second event is read when the first one's handler has returned.
        peer.send("42[\"leave\"]");
        peer.send(&format!("42[\"late\",\"{}\"]", "x".repeat(300 * 1024)));
        rig.run();
        assert_eq!(log.take(), ["leaves"]);
    });
}

#[test]
fn what_is_read_when_a_deadline_has_come_is_looked_at_after_handlers_in_flight() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).start().unwrap();
        let (log, latch) = (Log::default(), Latch::default());
        let (told, waiting) = (log.clone(), latch.clone());
        client.on("leave", move |client: Client| {
            let (told, waiting) = (told.clone(), waiting.clone());
            async move {
                waiting.wait().await;
                told.add("leaves");
                client.disconnect();
            }
        });
        client.on("late", note(&log, "late"));
        let mut peer = net.join(&rig);
        peer.send("42[\"leave\"]");
        let timeout = Duration::from_millis(100);
        client.timeout(timeout).emit_then("unanswered", &(), |_: Result<(), AckError>| {}).unwrap();
        rig.run();
        assert_eq!(log.take(), [""; 0]);
        // The deadline is over when its task is polled next; what came in time is read then.
        thread::sleep(2 * timeout);
        peer.send("42[\"late\"]");
        latch.open();
        rig.run();
        assert_eq!(log.take(), ["leaves"]);
    });
}

#[test]
fn listeners_come_and_go() {
    rig(|rig| {
        let net = Net::default();
        let client = net.client(&rig).start().unwrap();
        let log = Log::default();
        let add = |line: &'static str| {
            let log = log.clone();
            move |event: &sockeye_driver::Event<Client>| log.add(format!("{line} {}", event.name()))
        };
        let (second, first) = (client.on_any(add("second")), client.prepend_any(add("first")));
        client.on_any_outgoing(add("sent second"));
        client.prepend_any_outgoing(add("sent first"));
        assert_eq!(client.listeners_any(), [first, second]);
        let on = client.on("e", note(&log, "on"));
        let once = client.once("e", note(&log, "once"));
        assert_eq!((client.listeners_of("e"), client.event_names()), (vec![on, once], vec!["e".to_owned()]));

        let manager = client.manager();
        let closes = log.clone();
        let of_manager = manager.on(move |event| {
            if let ManagerEvent::Close { .. } = event {
                closes.add("close");
            }
        });
        let mut peer = net.join(&rig);
        peer.send("42[\"e\"]");
        rig.run();
        assert_eq!(log.take(), ["first e", "second e", "on", "once"]);
        assert_eq!(client.listeners_of("e"), [on]);
        client.emit("x", &()).unwrap();
        assert_eq!(log.take(), ["sent first x", "sent second x"]);
        assert_eq!((client.off_any(), client.off_any_outgoing()), (2, 2));
        client.off_everything();
        assert!(client.event_names().is_empty() && !client.off(on));
        peer.send("42[\"e\"]");
        peer.end.reset();
        rig.run();
        assert_eq!(log.take(), ["close"]);
        assert!(manager.off(of_manager) && !manager.off(of_manager));
        net.join(&rig).end.reset();
        rig.run();
        assert_eq!(log.take(), [""; 0]);
    });
}

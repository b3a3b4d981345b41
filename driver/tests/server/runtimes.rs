//! One server on several runtimes, at once and one after another.

use std::{sync::Arc, time::Duration};

use sockeye_driver::{BoxFuture, Config, Peer, Runtime, Serve, Server};

use crate::support::{CAPACITY, Client, Executor, Rig, Wire, World, pipe, rig};

/// A server that pings often.
fn world() -> World {
    World::new(Config { ping_interval: Duration::from_millis(20), ..Config::default() })
}

/// Another runtime in the same thread.
fn another() -> Rig {
    let executor = Executor::new();
    let runtime = executor.runtime();
    Rig { executor, runtime }
}

/// Its deadlines are seen to.
#[track_caller]
fn expect_pings(rig: &Rig, client: &mut Client) {
    let seen = client.pings;
    rig.until("more pings", || {
        client.read();
        client.pings > seen + 1
    });
}

#[test]
fn a_server_outlives_its_first_runtime() {
    rig(|first| {
        let world = world();
        let (mut client, _) = world.joined(&first, CAPACITY);
        expect_pings(&first, &mut client);
        first.executor.abandon();
        assert_eq!(world.io.stats().connections, 0);
        let second = another();
        let (mut client, socket) = world.joined(&second, CAPACITY);
        expect_pings(&second, &mut client);
        socket.emit("hello", &()).unwrap();
        client.expect("2[\"hello\"]");
        assert_eq!(world.io.stats().connections, 1);
        second.wait("the end", {
            let io = world.io.clone();
            async move { io.shutdown(Duration::from_secs(1)).await }
        });
        assert_eq!(world.io.stats().connections, 0);
    });
}

#[test]
fn sessions_run_where_they_came_in_and_keep_their_deadlines() {
    rig(|first| {
        let (world, second) = (world(), another());
        // The timer is the first one's, and no HTTP connection of the second one is left that could notice its end.
        let (mut one, _) = world.joined(&first, CAPACITY);
        let (mut two, _) = world.joined(&second, CAPACITY);
        expect_pings(&first, &mut one);
        first.executor.abandon();
        assert_eq!(world.io.stats().connections, 1);
        expect_pings(&second, &mut two);
    });
}

#[test]
fn a_broadcast_reaches_all_though_the_runtime_that_wakes_them_ends() {
    rig(|first| {
        let (world, second) = (World::new(Config::default()), another());
        let _one = first.joined(&world.io);
        let mut clients: Vec<Client> = (0..300).map(|_| second.joined(&world.io)).collect();
        world.io.emit("news", &()).unwrap();
        first.executor.abandon();
        second.run();
        for client in &mut clients {
            client.expect("2[\"news\"]");
        }
    });
}

/// A runtime that has ended: it drops what it is to run.
struct Ended(Arc<dyn Runtime>);

impl Runtime for Ended {
    fn spawn(&self, task: BoxFuture) {
        drop(task);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture {
        self.0.sleep(duration)
    }
}

#[test]
fn a_runtime_that_has_ended_leaves_the_deadlines_to_another_one() {
    rig(|rig| {
        let io = Server::new(Config { ping_interval: Duration::from_millis(20), ..Config::default() });
        let ended: Arc<dyn Runtime> = Arc::new(Ended(Arc::clone(&rig.runtime)));
        let (stream, end) = pipe(CAPACITY);
        rig.runtime.spawn(Box::pin(io.serve_connection(&ended, stream, Peer::default())));
        let mut wire = Wire::new(rig.clone(), end);
        wire.send("GET", "/socket.io/?EIO=4&transport=polling", "", "");
        // It comes to rest.
        rig.run();
        assert!(wire.try_reply().is_some());
        assert_eq!(io.stats().connections, 0, "a session that nobody runs");
        let mut client = rig.joined(&io);
        expect_pings(&rig, &mut client);
    });
}

//! `sio`: Socket.IO on the command line. `sio --help` says what it does.

#![forbid(unsafe_code)]

mod cli;
mod emit;
mod exit;
mod lines;
mod listen;
mod literal;
mod output;
mod repl;
mod session;
mod show;
mod signals;
mod tls;

use std::process::ExitCode;

use clap::Parser as _;
use tokio::runtime;

use self::{
    cli::{Cli, Command},
    exit::Exit,
    output::Output,
    session::Session,
    signals::Signals,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(run(&cli.command));
            // What still blocks a thread, reading a terminal or writing to a full pipe, is not waited for.
            runtime.shutdown_background();
            exit
        }
        Err(error) => Exit::failed(error),
    };
    exit.told().code()
}

async fn run(command: &Command) -> Exit {
    match begin(command) {
        Ok((session, output, signals)) => live(command, session, output, signals).await,
        Err(exit) => exit,
    }
}

fn begin(command: &Command) -> Result<(Session, Output, Signals), Exit> {
    let signals = Signals::new().map_err(Exit::failed)?;
    let session = match command {
        Command::Connect(options) => Session::new(&options.url, &options.namespaces, &options.connection)?,
        Command::Emit(options) => Session::new(&options.url, options.namespace.as_slice(), &options.connection)?,
        Command::Listen(options) => Session::new(&options.url, &options.namespaces, &options.connection)?,
    };
    if matches!(command, Command::Emit(_)) && session.sockets().count() > 1 {
        return Err(Exit::usage("one namespace: that of the URL, or --namespace"));
    }
    Ok((session, Output::new(), signals))
}

/// Does what was asked for, until that is done, or nobody reads the output any more, or a signal comes; and then leaves in
/// order, unless a second signal comes.
async fn live(command: &Command, mut session: Session, mut output: Output, mut signals: Signals) -> Exit {
    let exit = tokio::select! {
        exit = work(command, &mut session, &mut output) => exit,
        exit = signals.next() => exit,
    };
    // At once: a server that does not answer may take its time to be left.
    let exit = output.tell(exit);
    let leave = async {
        session.leave().await;
        output.finish().await
    };
    tokio::select! {
        // What could not be written counts, unless something else went wrong before.
        failed = leave => if exit.is_done() { failed } else { exit },
        exit = signals.next() => exit,
    }
}

async fn work(command: &Command, session: &mut Session, output: &mut Output) -> Exit {
    match command {
        Command::Connect(options) => repl::run(options, session, output).await,
        Command::Emit(options) => emit::run(options, session, output).await,
        Command::Listen(options) => tokio::select! {
            exit = listen::run(options, session, output) => exit,
            exit = output.failed() => exit,
        },
    }
}

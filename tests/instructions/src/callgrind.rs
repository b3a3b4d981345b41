//! Counts instructions, by `valgrind --tool=callgrind`: no other program and no other load changes them, so a change that
//! costs a few per cent is noticed without a quiet machine.
//!
//! Beside them it counts atomic read-modify-writes (`Ge`, callgrind's "global bus events"), which are too few to be seen
//! among instructions: a lock that is taken and given back is two, and a count of owners one each way.
//!
//! Compiler, C library, and what vectors the processor has change the counts: they are compared with a table that the same
//! [`tools`] have made, and shown beside one of others.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a failure ends the program"
)]

use std::{
    env, fmt, fs,
    path::PathBuf,
    process::{Command, ExitCode},
};

/// Something to count: what makes it ready, and gives what is to be counted, once.
pub type Script = (&'static str, fn() -> Box<dyn FnMut()>);

/// How often a script runs while instructions are counted, and before, so that what is kept is there.
const ROUNDS: u32 = 50;

/// By how much a count of instructions may differ from what is written down.
const DRIFT: f64 = 0.03;

/// The `main` of a program that compares its scripts' counts with those in `table`: a file with a line for what made it, and
/// one for each script with its name, instructions, and atomic operations. With `UPDATE_INSTRUCTIONS` in the environment the
/// file is written.
pub fn main(table: &str, scripts: &[Script]) -> ExitCode {
    if let Some(name) = env::var("INSTRUCTIONS_OF").ok().as_deref() {
        let (_, prepare) = scripts.iter().find(|(script, _)| *script == name).expect("a script's name");
        let mut script = prepare();
        (0..ROUNDS).for_each(|_| script());
        counted(&mut script);
        return ExitCode::SUCCESS;
    }
    let tools = tools();
    let found: Vec<Counts> = scripts.iter().map(|(name, _)| count(name)).collect();
    if env::var_os("UPDATE_INSTRUCTIONS").is_some() {
        let lines: String = found.iter().map(|counts| format!("{counts}\n")).collect();
        fs::write(table, format!("# {tools}\n{lines}")).expect("the table can be written");
        return ExitCode::SUCCESS;
    }
    let text = fs::read_to_string(table).expect("there is a table");
    let (made_by, rows) = text.split_once('\n').expect("a line of what made it");
    let expected: Vec<Counts> = rows.lines().map(Counts::read).collect();
    let mut differs = expected.len() != found.len();
    for counts in &found {
        let verdict = match expected.iter().find(|expected| expected.name == counts.name) {
            None => "not in the table".to_owned(),
            Some(expected) => counts.compare(expected),
        };
        differs |= !verdict.is_empty();
        println!("{counts}  {verdict}");
    }
    let made_by = made_by.trim_start_matches("# ");
    if made_by != tools {
        println!("These are of {tools}; {table} is of {made_by}. They are not compared.");
        return ExitCode::SUCCESS;
    }
    if differs {
        println!("{table} has other counts. If they are meant to be these, run this with UPDATE_INSTRUCTIONS=1.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What the counts depend on beside our code.
fn tools() -> String {
    let first_line = |command: &str, argument: &str| {
        let output = Command::new(command).arg(argument).output().unwrap_or_else(|error| panic!("{command}: {error}"));
        String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
    };
    let vectors =
        fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.split_whitespace().any(|flag| flag == "avx2"));
    let vectors = if vectors { "AVX2" } else { "no AVX2" };
    let (rustc, valgrind) = (first_line("rustc", "--version"), first_line("valgrind", "--version"));
    format!("{rustc}, {}, {valgrind}, {}, {vectors}", env::consts::ARCH, first_line("ldd", "--version"))
}

/// Of one round, on average.
struct Counts {
    name: String,
    instructions: u64,
    atomics: u64,
}

impl Counts {
    /// A row of the table.
    fn read(row: &str) -> Self {
        let mut words = row.split_whitespace().rev();
        let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
        let (atomics, instructions) = (number(), number());
        let name: Vec<&str> = words.rev().collect();
        Self { name: name.join(" "), instructions, atomics }
    }

    /// What is wrong, if anything. That less is needed is also to be written down, or half of it could come back unseen.
    fn compare(&self, expected: &Self) -> String {
        let drift = self.instructions as f64 / expected.instructions as f64 - 1.0;
        if drift.abs() > DRIFT {
            format!("{:+.1} % instructions, from {}", 100.0 * drift, expected.instructions)
        } else if self.atomics != expected.atomics {
            format!("{} atomic operations before", expected.atomics)
        } else {
            String::new()
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<32}{:>10}{:>7}", self.name, self.instructions, self.atomics)
    }
}

fn count(name: &str) -> Counts {
    let program = env::current_exe().expect("this program has a path");
    let file: PathBuf = env::temp_dir().join(format!("sockeye-callgrind-{}", std::process::id()));
    let output = Command::new("valgrind")
        // Nothing of `VALGRIND_OPTS` or `.valgrindrc`.
        .args(["--command-line-only=yes", "--tool=callgrind", "--collect-bus=yes"])
        .arg("--toggle-collect=*::callgrind::counted")
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .env("INSTRUCTIONS_OF", name)
        .output()
        .expect("valgrind is installed (Debian's package has this name)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    let profile = fs::read_to_string(&file).expect("callgrind has written its counts");
    drop(fs::remove_file(&file));
    let line = |name: &str| profile.lines().find_map(|line| line.strip_prefix(name)).map(str::split_whitespace);
    let (names, sums) = (line("events:").expect("names of counts"), line("totals:").expect("sums"));
    let sum = |wanted: &str| {
        let mut all = names.clone().zip(sums.clone());
        let (_, sum) = all.find(|(name, _)| *name == wanted).unwrap_or_else(|| panic!("{name}: no {wanted} in {said}"));
        sum.parse::<u64>().expect("a number") / u64::from(ROUNDS)
    };
    let counts = Counts { name: name.to_owned(), instructions: sum("Ir"), atomics: sum("Ge") };
    assert!(counts.instructions > 0, "{name}: nothing was counted");
    counts
}

/// What callgrind counts, by its name.
#[inline(never)]
fn counted(script: &mut dyn FnMut()) {
    (0..ROUNDS).for_each(|_| script());
}

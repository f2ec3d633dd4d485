//! A network between processes and their Redis that can be as bad as real ones are.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What happens to what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// It arrives.
    Clear,
    /// It arrives this much later, in either direction.
    Slow(Duration),
    /// It is gone, in either direction, and nobody is told. A connection that lost something stays
    /// like that for ever: half-open.
    Silent,
    /// Requests arrive, replies are gone. A connection that lost a reply stays like that for ever.
    Mute,
    /// What a client sends is kept from the first request on that holds this text, and arrives when
    /// the weather is clear again.
    HeldFrom(&'static str),
    /// What a client sends is kept, and arrives when the weather is clear again.
    Held,
}

/// The network. Its threads end with the test's process.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: PathBuf,
    weather: Mutex<Weather>,
    changed: Condvar,
    open: Mutex<Vec<(TcpStream, UnixStream)>>,
    accepted: AtomicUsize,
}

impl Proxy {
    /// A network to the server that listens on a socket.
    pub fn before(server: &Path) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            weather: Mutex::new(Weather::Clear),
            changed: Condvar::new(),
            open: Mutex::new(Vec::new()),
            accepted: AtomicUsize::new(0),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                accepting.accepted.fetch_add(1, Ordering::Relaxed);
                // A server that is away refuses: the client is dropped.
                let _ = connect(client, &accepting);
            }
        });
        Proxy { port, shared }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn set(&self, weather: Weather) {
        *self.shared.weather.lock().expect("no thread panicked") = weather;
        self.shared.changed.notify_all();
    }

    pub fn weather(&self) -> Weather {
        *self.shared.weather.lock().expect("no thread panicked")
    }

    /// Ends every connection. Returns how many there were.
    pub fn cut(&self) -> usize {
        let mut open = self.shared.open.lock().expect("no thread panicked");
        let cut = open.len();
        for (client, server) in open.drain(..) {
            // Either side may have gone already.
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
        cut
    }

    /// How many connections were made so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }
}

/// What a connection has lost.
#[derive(Clone, Default)]
struct Losses {
    requests: Arc<AtomicBool>,
    replies: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Reply,
}

fn connect(client: TcpStream, shared: &Arc<Shared>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let server = UnixStream::connect(&shared.server)?;
    let mut open = shared.open.lock().expect("no thread panicked");
    open.push((client.try_clone()?, server.try_clone()?));
    drop(open);
    let losses = Losses::default();
    let (client_again, server_again) = (client.try_clone()?, server.try_clone()?);
    let end_of_requests = server.try_clone()?;
    carry(
        client,
        server,
        Direction::Request,
        shared,
        &losses,
        move || {
            let _ = end_of_requests.shutdown(Shutdown::Both);
        },
    );
    let end_of_replies = client_again.try_clone()?;
    carry(
        server_again,
        client_again,
        Direction::Reply,
        shared,
        &losses,
        move || {
            let _ = end_of_replies.shutdown(Shutdown::Both);
        },
    );
    Ok(())
}

/// One direction of a connection: what is read now is written when it is due, so that what comes
/// behind it is late by the same time and not by twice that.
fn carry(
    mut from: impl Read + Send + 'static,
    to: impl Write + Send + 'static,
    direction: Direction,
    shared: &Arc<Shared>,
    losses: &Losses,
    end: impl FnOnce() + Send + 'static,
) {
    let (sender, receiver): (Sender<Piece>, Receiver<Piece>) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let piece = (Instant::now(), buffer[..length].to_vec());
            if sender.send(piece).is_err() {
                return;
            }
        }
    });
    let (shared, losses) = (shared.clone(), losses.clone());
    std::thread::spawn(move || {
        // One of the two ends is gone.
        let _ = deliver(&receiver, to, direction, &shared, &losses);
        end();
    });
}

/// When something was read, and what.
type Piece = (Instant, Vec<u8>);

fn deliver(
    pieces: &Receiver<Piece>,
    mut to: impl Write,
    direction: Direction,
    shared: &Shared,
    losses: &Losses,
) -> std::io::Result<()> {
    for (read, piece) in pieces {
        if let Weather::Slow(late) = *shared.weather.lock().expect("no thread panicked") {
            std::thread::sleep((read + late).saturating_duration_since(Instant::now()));
        }
        if !is_lost(&piece, direction, shared, losses) {
            to.write_all(&piece)?;
        }
    }
    Ok(())
}

/// Whether a piece is gone. Waits while it is held.
fn is_lost(piece: &[u8], direction: Direction, shared: &Shared, losses: &Losses) -> bool {
    let mut weather = shared.weather.lock().expect("no thread panicked");
    if let (Weather::HeldFrom(text), Direction::Request) = (*weather, direction)
        && piece
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    {
        *weather = Weather::Held;
    }
    while direction == Direction::Request && *weather == Weather::Held {
        weather = shared.changed.wait(weather).expect("no thread panicked");
    }
    match *weather {
        Weather::Silent => {
            losses.requests.store(true, Ordering::Relaxed);
            losses.replies.store(true, Ordering::Relaxed);
        }
        Weather::Mute if direction == Direction::Reply => {
            losses.replies.store(true, Ordering::Relaxed);
        }
        _ => {}
    }
    match direction {
        Direction::Request => losses.requests.load(Ordering::Relaxed),
        Direction::Reply => losses.replies.load(Ordering::Relaxed),
    }
}

//! Members in the same process that do as they are told, and remember what they got.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use equipoise::service::{BalanceLayer, BalanceService, BoxError, ServedBy};
use equipoise::{Balancer, MemberSpec};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceExt};

use crate::books::Books;

/// What a member does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Reads the body to its end, and answers.
    Answer(u16),
    /// Fails with this error and reads nothing.
    Fail(io::ErrorKind),
    /// Reads so many frames of the body, and fails as a connection does that breaks.
    FailAfter(usize),
    /// Reads the body to its end, and answers after so long.
    AnswerAfter(Duration, u16),
    /// Becomes ready after so long; what it does then is the next act.
    ReadyAfter(Duration),
    /// Answers at once, and reads the body afterwards, on a task of its own.
    AnswerThenRead(u16),
    /// Reads the body to its end, and fails after so long.
    FailAfterTime(Duration),
    Hang,
    /// Never becomes ready.
    Unready,
    /// Fails to become ready.
    Broken,
}

/// What a member got of one request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Got {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: usize,
    /// The body ended with an error.
    pub(crate) broken: bool,
}

/// Plays its acts in turn, and the last one for ever.
#[derive(Debug)]
pub(crate) struct Member {
    acts: Arc<Mutex<VecDeque<Act>>>,
    got: Arc<Mutex<Vec<Got>>>,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Clone for Member {
    fn clone(&self) -> Self {
        Self {
            acts: self.acts.clone(),
            got: self.got.clone(),
            sleep: None,
        }
    }
}

impl Member {
    pub(crate) fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self {
            acts: Arc::new(Mutex::new(acts.into_iter().collect())),
            got: Arc::default(),
            sleep: None,
        }
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    fn act(&self) -> Act {
        let mut acts = self.acts.lock().unwrap();
        match acts.len() {
            0 => Act::Answer(200),
            1 => acts[0].clone(),
            _ => acts.pop_front().unwrap(),
        }
    }
}

impl<B> Service<Request<B>> for Member
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let mut acts = self.acts.lock().unwrap();
        match acts.front() {
            Some(&Act::ReadyAfter(delay)) => {
                let new = || Box::pin(tokio::time::sleep(delay));
                let sleep = self.sleep.get_or_insert_with(new);
                std::task::ready!(sleep.as_mut().poll(context));
                acts.pop_front();
                Poll::Ready(Ok(()))
            }
            Some(Act::Unready) => Poll::Pending,
            Some(Act::Broken) => Poll::Ready(Err("it is broken".into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let act = self.act();
        let (head, body) = request.into_parts();
        let at = {
            let mut got = self.got.lock().unwrap();
            got.push(Got {
                head: format!("{} {}", head.method, head.uri),
                ..Got::default()
            });
            got.len() - 1
        };
        let got = self.got.clone();
        Box::pin(async move {
            let mut body = Box::pin(body);
            match act {
                Act::Answer(status) => {
                    read(&mut body, usize::MAX, &got, at).await;
                    Ok(answer(status))
                }
                Act::AnswerThenRead(status) => {
                    tokio::spawn(async move { read(&mut body, usize::MAX, &got, at).await });
                    Ok(answer(status))
                }
                Act::Fail(kind) => Err(io::Error::from(kind).into()),
                Act::FailAfter(frames) => {
                    read(&mut body, frames, &got, at).await;
                    Err(io::Error::from(io::ErrorKind::ConnectionReset).into())
                }
                Act::FailAfterTime(delay) => {
                    read(&mut body, usize::MAX, &got, at).await;
                    tokio::time::sleep(delay).await;
                    Err(io::Error::from(io::ErrorKind::ConnectionReset).into())
                }
                Act::Hang => std::future::pending().await,
                Act::AnswerAfter(delay, status) => {
                    read(&mut body, usize::MAX, &got, at).await;
                    tokio::time::sleep(delay).await;
                    Ok(answer(status))
                }
                Act::Unready | Act::Broken | Act::ReadyAfter(_) => {
                    panic!("called though it was not ready")
                }
            }
        })
    }
}

fn answer(status: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from("answer"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

async fn read<B>(body: &mut Pin<Box<B>>, frames: usize, got: &Mutex<Vec<Got>>, at: usize)
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    for _ in 0..frames {
        let Some(frame) = body.frame().await else {
            return;
        };
        let mut got = got.lock().unwrap();
        match frame {
            Ok(frame) if frame.is_data() => {
                got[at].body.extend_from_slice(&frame.into_data().unwrap());
            }
            Ok(frame) => got[at].trailers += frame.into_trailers().unwrap().len(),
            Err(_) => got[at].broken = true,
        }
    }
}

/// Members called a, b, c …, each with its acts, and the books of their balancer.
pub(crate) struct Cast {
    pub(crate) members: Vec<Member>,
    pub(crate) balancer: Balancer<Member>,
    pub(crate) books: Books,
}

impl Cast {
    pub(crate) fn new<const N: usize>(acts: [&[Act]; N]) -> Self {
        Self::with_specs(acts.map(|acts| (acts, MemberSpec::new())))
    }

    pub(crate) fn with_specs<const N: usize>(acts: [(&[Act], MemberSpec); N]) -> Self {
        let books = Books::default();
        let mut members = Vec::new();
        let mut builder = Balancer::builder().observer(books.clone());
        for (name, (acts, spec)) in ["a", "b", "c", "d"].into_iter().zip(acts) {
            let member = Member::new(acts.to_vec());
            members.push(member.clone());
            builder = builder.member(name, member, spec);
        }
        Self {
            members,
            balancer: builder.build().unwrap(),
            books,
        }
    }

    pub(crate) fn layer(&self) -> BalanceLayer<Member> {
        BalanceLayer::new(self.balancer.clone())
    }

    pub(crate) fn service(&self) -> BalanceService<Member> {
        self.layer().over_members()
    }

    /// How many requests each member got.
    pub(crate) fn calls(&self) -> Vec<usize> {
        self.members
            .iter()
            .map(|member| member.got().len())
            .collect()
    }

    /// The names of those in error.
    pub(crate) fn in_error(&self) -> String {
        let members = self.balancer.members();
        let in_error = members
            .iter()
            .filter(|member| member.status().contains(equipoise::Flag::InError));
        in_error.map(|member| member.name().to_owned()).collect()
    }
}

/// What a request comes to: the status, who served it and in which attempt; or the error.
pub(crate) async fn outcome<S, B, RB>(service: S, request: Request<B>) -> String
where
    S: Service<Request<B>, Response = Response<RB>>,
    S::Error: std::fmt::Display,
    RB: Body,
    RB::Error: std::fmt::Debug,
{
    match service.oneshot(request).await {
        Ok(response) => {
            let served = response.extensions().get::<ServedBy>().cloned().unwrap();
            let status = response.status().as_u16();
            assert!(response.into_body().collect().await.is_ok());
            format!("{status} {} {}", served.member, served.attempts)
        }
        Err(error) => error.to_string(),
    }
}

pub(crate) fn get(uri: &str) -> Request<Full<Bytes>> {
    Request::get(uri).body(Full::default()).unwrap()
}

pub(crate) fn post(body: &'static str) -> Request<Full<Bytes>> {
    Request::post("/").body(Full::from(body)).unwrap()
}

/// A body of frames, one after the other; its length is not known.
pub(crate) struct Frames(VecDeque<http_body::Frame<Bytes>>);

/// A body of these frames, with trailers if they are asked for.
pub(crate) fn frames(data: &[&'static str], trailers: bool) -> Frames {
    let data = data.iter().map(|data| Bytes::from_static(data.as_bytes()));
    let mut frames: VecDeque<_> = data.map(http_body::Frame::data).collect();
    if trailers {
        let mut map = http::HeaderMap::new();
        map.insert("checksum", http::HeaderValue::from_static("1"));
        frames.push_back(http_body::Frame::trailers(map));
    }
    Frames(frames)
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

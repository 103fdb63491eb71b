//! What is done to an answer, and what is known of its request: [`RequestContext`].

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{ALLOW, HeaderMap, HeaderValue, SET_COOKIE, WWW_AUTHENTICATE};
use http::{Response, StatusCode};

use super::layer::{HostLayer, RequestLayers};
use super::site::{HostDestination, Site};
use crate::balancer::Balancer;
use crate::config::ErrorOverride;
use crate::proxy::{Endpoint, Origin, ProxyBody, RejectedResponse};
use crate::service::{BalanceError, ErrorPage, PreferredFormat, ServedBy};
use crate::session;

/// The headers of answers that hold URLs.
const HOLD_URLS: [&str; 5] = [
    "content-location",
    "destination",
    "location",
    "refresh",
    "uri",
];

/// What a client gets.
pub(super) type FrontResponse = Response<ProxyBody>;

/// What is known of a request while a member answers it.
#[derive(Debug)]
pub(super) struct RequestContext {
    pub(super) site: Arc<Site>,
    pub(super) wanted: PreferredFormat,
    /// Which places of the site it asks in.
    pub(super) places: Vec<usize>,
    pub(super) secure: bool,
    pub(super) destination: Option<Arc<HostDestination>>,
    pub(super) balancer: Option<Balancer<Endpoint>>,
    pub(super) origin: Option<Origin>,
    pub(super) presented: Option<RequestSession>,
}

/// The session that a request presented.
#[derive(Clone, Debug)]
pub(super) struct RequestSession {
    name: String,
    route: String,
}

impl RequestSession {
    pub(super) fn of(found: &session::PresentedSession<'_>) -> Option<Self> {
        Some(Self {
            name: found.name().to_owned(),
            route: found.route()?.to_owned(),
        })
    }
}

/// The member that was chosen last.
struct Chosen {
    member: Arc<str>,
    route: String,
    route_changed: bool,
}

impl RequestContext {
    pub(super) fn new(site: Arc<Site>, wanted: PreferredFormat) -> Self {
        Self {
            site,
            wanted,
            places: Vec::new(),
            secure: false,
            destination: None,
            balancer: None,
            origin: None,
            presented: None,
        }
    }

    /// Creates the client's answer of what has come.
    pub(super) fn finish(&self, answer: FrontResponse) -> FrontResponse {
        let layers = self.site.layers(&self.places);
        let chosen = self.chosen(&answer);
        let mut delivered = answer.extensions().get::<ServedBy>().is_some();
        let mut answer = self.with_status_of_httpd(answer);
        if delivered && is_overridden(&layers, answer.status()) {
            let mut page: FrontResponse =
                ErrorPage::new(answer.status(), "", self.wanted).answer(None);
            // Without it nobody could log in, or know what is allowed.
            page.headers_mut().remove(ALLOW);
            for name in [ALLOW, WWW_AUTHENTICATE] {
                for said in answer.headers().get_all(&name) {
                    page.headers_mut().append(&name, said.clone());
                }
            }
            answer = page;
            delivered = false;
        }
        let edits = || layers.upwards().flat_map(|layer| &layer.response_headers);
        if let Some(body) = answer.body_mut().inner_mut() {
            body.without_trailers(edits().map(|edit| edit.name().clone()));
        }
        let headers = answer.headers_mut();
        if delivered && layers.upwards().any(HostLayer::maps_back) {
            self.map_back(&layers, headers);
        }
        for edit in edits() {
            if edit.is_for(delivered) {
                edit.apply(headers, |name| {
                    self.variable(&layers, name, chosen.as_ref())
                });
            }
        }
        answer
    }

    /// Maps URLs and cookies back: of the rules of each kind, the first that fits a value
    /// counts, wherever it stands.
    fn map_back(&self, layers: &RequestLayers<'_>, headers: &mut HeaderMap) {
        let origin = self.origin.as_ref();
        for (name, value) in headers.iter_mut() {
            let first = |map: &dyn Fn(&HostLayer, &mut HeaderMap), value: &mut HeaderValue| {
                for layer in layers.upwards() {
                    let mut one = HeaderMap::with_capacity(1);
                    one.insert(name, value.clone());
                    map(layer, &mut one);
                    if let Some(mapped) = one.remove(name).filter(|mapped| mapped != value) {
                        *value = mapped;
                        return;
                    }
                }
            };
            if name == SET_COOKIE {
                let domains = |layer: &HostLayer, one: &mut HeaderMap| {
                    layer.cookie_domains.iter().for_each(|map| map.rewrite(one));
                };
                let paths = |layer: &HostLayer, one: &mut HeaderMap| {
                    layer.cookie_paths.iter().for_each(|map| map.rewrite(one));
                };
                first(&domains, value);
                first(&paths, value);
            } else if HOLD_URLS.contains(&name.as_str()) {
                let urls = |layer: &HostLayer, one: &mut HeaderMap| {
                    layer
                        .reverse
                        .iter()
                        .for_each(|map| map.rewrite(one, origin));
                };
                first(&urls, value);
            }
        }
    }

    /// httpd says 503 if no member could be connected to, and 502 also for one that is too
    /// slow.
    fn with_status_of_httpd(&self, answer: FrontResponse) -> FrontResponse {
        let error = answer.extensions().get::<Arc<BalanceError>>().cloned();
        let (status, why) = match error.as_deref() {
            Some(BalanceError::Member {
                nothing_sent: true, ..
            }) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "no server can take this request now",
            ),
            Some(BalanceError::Member {
                timed_out: true, ..
            }) => (
                StatusCode::BAD_GATEWAY,
                "the server behind this one did not answer in time",
            ),
            _ => return answer,
        };
        let mut page: FrontResponse = ErrorPage::new(status, why, self.wanted).answer(None);
        page.extensions_mut().extend(answer.extensions().clone());
        page
    }

    fn chosen(&self, answer: &FrontResponse) -> Option<Chosen> {
        let badly = answer
            .extensions()
            .get::<RejectedResponse>()
            .map(|by| &by.0);
        if let Some(served) = answer.extensions().get::<ServedBy>().or(badly) {
            return Some(Chosen {
                member: served.member.clone(),
                route: served.route.as_deref().unwrap_or_default().to_owned(),
                route_changed: served.session.route_changed(),
            });
        }
        let error = answer.extensions().get::<Arc<BalanceError>>()?;
        let (BalanceError::Member { member, .. } | BalanceError::SessionLost { member, .. }) =
            &**error
        else {
            return None;
        };
        let spec = self.balancer.as_ref()?.spec(member);
        let route = spec
            .as_ref()
            .and_then(|spec| spec.route())
            .unwrap_or_default();
        let presented = self.presented.as_ref().map(|it| it.route.as_str());
        let sticky = self.destination.as_ref()?.sticky.is_some();
        Some(Chosen {
            member: member.clone(),
            route: route.to_owned(),
            route_changed: sticky && presented != Some(route),
        })
    }

    /// The variables that are known before a member is.
    pub(super) fn early_variable<'v>(
        &self,
        layers: &RequestLayers<'v>,
        name: &str,
    ) -> Option<Cow<'v, str>> {
        if name.eq_ignore_ascii_case("HTTPS") && self.secure {
            return Some(Cow::Borrowed("on"));
        }
        layers.variable(name).map(Cow::Borrowed)
    }

    fn variable<'v>(
        &'v self,
        layers: &RequestLayers<'v>,
        name: &str,
        chosen: Option<&'v Chosen>,
    ) -> Option<Cow<'v, str>> {
        let balancer = self.destination.as_ref().and_then(|it| it.name.as_deref());
        let (Some(chosen), Some(balancer)) = (chosen, balancer) else {
            return self.early_variable(layers, name);
        };
        let presented = self.presented.as_ref();
        // As httpd's tables, which mind no case.
        match name.to_ascii_uppercase().as_str() {
            "BALANCER_NAME" => Some(Cow::Owned(format!("balancer://{balancer}"))),
            "BALANCER_WORKER_NAME" => Some(Cow::Borrowed(&chosen.member)),
            "BALANCER_WORKER_ROUTE" => Some(Cow::Borrowed(&chosen.route)),
            "BALANCER_SESSION_STICKY" => presented.map(|it| Cow::Borrowed(&*it.name)),
            "BALANCER_SESSION_ROUTE" => presented.map(|it| Cow::Borrowed(&*it.route)),
            "BALANCER_ROUTE_CHANGED" => chosen.route_changed.then_some(Cow::Borrowed("1")),
            _ => self.early_variable(layers, name),
        }
    }
}

fn is_overridden(layers: &RequestLayers<'_>, status: StatusCode) -> bool {
    match layers.top(|layer| layer.error_override.as_ref()) {
        Some(ErrorOverride::On) => status.is_client_error() || status.is_server_error(),
        Some(ErrorOverride::Statuses(statuses)) => statuses.contains(&status.as_u16()),
        Some(ErrorOverride::Off) | None => false,
    }
}

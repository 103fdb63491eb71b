//! Changes to a response, and the data of its request: [`RequestContext`].

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{ALLOW, HeaderMap, HeaderValue, SET_COOKIE, WWW_AUTHENTICATE};
use http::{Response, StatusCode};

use super::layer::{HostLayer, RequestLayers};
use super::site::{HostDestination, Site};
use crate::config::ErrorOverride;
use crate::proxy::{Origin, ProxyBody, RejectedResponse};
use crate::service::{BalanceError, ErrorPage, PreferredFormat, ServedBy};
use crate::session;

/// Response headers that contain URLs.
const URL_HEADERS: [&str; 5] = [
    "content-location",
    "destination",
    "location",
    "refresh",
    "uri",
];

/// The response to a client.
pub(super) type FrontResponse = Response<ProxyBody>;

/// The data of a request while it is being served.
#[derive(Debug)]
pub(super) struct RequestContext {
    pub(super) site: Arc<Site>,
    pub(super) wanted: PreferredFormat,
    /// The locations of the site that match the request.
    pub(super) locations: Vec<usize>,
    pub(super) secure: bool,
    pub(super) destination: Option<Arc<HostDestination>>,
    pub(super) origin: Option<Origin>,
    pub(super) presented: Option<RequestSession>,
}

/// The session of a request.
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

/// The member that was picked last.
struct ServingMember {
    member: Arc<str>,
    route: String,
    route_changed: bool,
}

impl RequestContext {
    pub(super) fn new(site: Arc<Site>, wanted: PreferredFormat) -> Self {
        Self {
            site,
            wanted,
            locations: Vec::new(),
            secure: false,
            destination: None,
            origin: None,
            presented: None,
        }
    }

    /// Converts a response to the one for the client.
    pub(super) fn finish(&self, response: FrontResponse) -> FrontResponse {
        let layers = self.site.layers(&self.locations);
        let picked = self.picked(&response);
        let mut delivered = response.body().is_of_inner();
        let mut response = self.with_status_of_httpd(response);
        if delivered && is_overridden(&layers, response.status()) {
            let mut page: FrontResponse =
                ErrorPage::new(response.status(), "", self.wanted).answer(None);
            // Without these headers, clients could not log in, or know the allowed methods.
            page.headers_mut().remove(ALLOW);
            for name in [ALLOW, WWW_AUTHENTICATE] {
                for said in response.headers().get_all(&name) {
                    page.headers_mut().append(&name, said.clone());
                }
            }
            response = page;
            delivered = false;
        }
        let edits = || layers.upwards().flat_map(|layer| &layer.response_headers);
        if let Some(body) = response.body_mut().inner_mut() {
            body.without_trailers(edits().map(|edit| edit.name().clone()));
        }
        let headers = response.headers_mut();
        if delivered && layers.upwards().any(HostLayer::maps_back) {
            self.map_back(&layers, headers);
        }
        for edit in edits() {
            if edit.is_for(delivered) {
                edit.apply(headers, |name| {
                    self.variable(&layers, name, picked.as_ref())
                });
            }
        }
        response
    }

    /// Rewrites URLs and cookies. For each kind, the first rule that matches a value
    /// applies, in the order of all layers.
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
            } else if URL_HEADERS.contains(&name.as_str()) {
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

    /// httpd responds with 503 if it could not connect to any member, and with 502 also if
    /// a member is too slow.
    fn with_status_of_httpd(&self, response: FrontResponse) -> FrontResponse {
        let error = response.extensions().get::<Arc<BalanceError>>().cloned();
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
            _ => return response,
        };
        let mut page: FrontResponse = ErrorPage::new(status, why, self.wanted).answer(None);
        page.extensions_mut().extend(response.extensions().clone());
        page
    }

    fn picked(&self, response: &FrontResponse) -> Option<ServingMember> {
        let badly = response
            .extensions()
            .get::<RejectedResponse>()
            .map(|by| &by.0);
        if let Some(served) = response.extensions().get::<ServedBy>().or(badly) {
            return Some(ServingMember {
                member: served.member.clone(),
                route: served.route.as_deref().unwrap_or_default().to_owned(),
                route_changed: served.session.route_changed(),
            });
        }
        let error = response.extensions().get::<Arc<BalanceError>>()?;
        let (BalanceError::Member { member, .. } | BalanceError::SessionLost { member, .. }) =
            &**error
        else {
            return None;
        };
        let spec = self.destination.as_ref()?.balancer.spec(member);
        let route = spec
            .as_ref()
            .and_then(|spec| spec.route())
            .unwrap_or_default();
        let presented = self.presented.as_ref().map(|it| it.route.as_str());
        let sticky = self.destination.as_ref()?.sticky.is_some();
        Some(ServingMember {
            member: member.clone(),
            route: route.to_owned(),
            route_changed: sticky && presented != Some(route),
        })
    }

    /// Returns the value of a variable that is known before a member is picked.
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
        picked: Option<&'v ServingMember>,
    ) -> Option<Cow<'v, str>> {
        let balancer = self.destination.as_ref().and_then(|it| it.name.as_deref());
        let (Some(picked), Some(balancer)) = (picked, balancer) else {
            return self.early_variable(layers, name);
        };
        let presented = self.presented.as_ref();
        // Letter case is ignored, as in httpd's tables.
        match name.to_ascii_uppercase().as_str() {
            "BALANCER_NAME" => Some(Cow::Owned(format!("balancer://{balancer}"))),
            "BALANCER_WORKER_NAME" => Some(Cow::Borrowed(&picked.member)),
            "BALANCER_WORKER_ROUTE" => Some(Cow::Borrowed(&picked.route)),
            "BALANCER_SESSION_STICKY" => presented.map(|it| Cow::Borrowed(&*it.name)),
            "BALANCER_SESSION_ROUTE" => presented.map(|it| Cow::Borrowed(&*it.route)),
            "BALANCER_ROUTE_CHANGED" => picked.route_changed.then_some(Cow::Borrowed("1")),
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

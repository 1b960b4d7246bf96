//! The table of all routes: what each is for, and who may use it.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::MethodRouter;
use celeriac_control::access::Scope;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, SecurityRequirement};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::access::guard;
use crate::openapi;
use crate::problem::PROBLEM_JSON;
use crate::state::ServerState;

/// The methods that a path can have, as the API's description keeps them.
type Slot = fn(&mut PathItem) -> &mut Option<Operation>;

/// All of them that we use, by their names.
const METHODS: [(&str, Slot); 5] = [
    ("GET", |item| &mut item.get),
    ("POST", |item| &mut item.post),
    ("PUT", |item| &mut item.put),
    ("PATCH", |item| &mut item.patch),
    ("DELETE", |item| &mut item.delete),
];

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET`, `POST` …
    pub method: &'static str,
    /// Its path, with parameters in braces.
    pub path: String,
    /// What its callers must be allowed to do; `None`: it is open to everybody.
    pub scope: Option<Scope>,
    /// Whether it is part of the API's description; pages are not.
    pub described: bool,
}

/// The table of all routes.
#[must_use = "routes answer nothing before they are part of a server"]
pub struct RouteTable {
    router: OpenApiRouter<ServerState>,
    routes: Vec<Route>,
}

impl RouteTable {
    /// Begins with no route.
    pub(super) fn new() -> Self {
        Self { router: OpenApiRouter::with_openapi(openapi::head()), routes: Vec::new() }
    }

    /// Adds a route of the API for callers that may do this.
    pub(super) fn needs(self, scope: Scope, routes: UtoipaMethodRouter<ServerState>) -> Self {
        let (schemas, paths, methods) = routes;
        self.add(Some(scope), (schemas, paths, guarded(scope, methods)))
    }

    /// Adds a route of the API that is open to everybody.
    pub(super) fn open(self, routes: UtoipaMethodRouter<ServerState>) -> Self {
        self.add(None, routes)
    }

    /// Adds a page, or what pages consist of, for callers that may do this.
    #[expect(dead_code, reason = "the first pages come next")]
    pub(super) fn page(
        self,
        scope: Scope,
        (method, path): (&'static str, &str),
        handler: MethodRouter<ServerState>,
    ) -> Self {
        self.add_page(Some(scope), (method, path), guarded(scope, handler))
    }

    /// Adds a page, or what pages consist of, that is open to everybody.
    #[expect(dead_code, reason = "the first pages come next")]
    pub(super) fn open_page(
        self,
        (method, path): (&'static str, &str),
        handler: MethodRouter<ServerState>,
    ) -> Self {
        self.add_page(None, (method, path), handler)
    }

    /// Returns the routes, in the order in which they were added.
    pub fn list(&self) -> &[Route] {
        &self.routes
    }

    /// Takes it apart: what routes, and the API's description.
    pub(crate) fn into_parts(self) -> (Router<ServerState>, utoipa::openapi::OpenApi) {
        self.router.split_for_parts()
    }

    fn add(mut self, scope: Option<Scope>, routes: UtoipaMethodRouter<ServerState>) -> Self {
        let (schemas, mut paths, methods) = routes;
        describe(&mut paths, scope, &mut self.routes);
        self.router = self.router.routes((schemas, paths, methods));
        self
    }

    fn add_page(
        mut self,
        scope: Option<Scope>,
        (method, path): (&'static str, &str),
        handler: MethodRouter<ServerState>,
    ) -> Self {
        self.routes.push(Route { method, path: path.to_owned(), scope, described: false });
        self.router = self.router.route(path, handler);
        self
    }
}

/// Has callers looked at before a handler reads anything.
fn guarded(scope: Scope, methods: MethodRouter<ServerState>) -> MethodRouter<ServerState> {
    methods.route_layer(from_fn(move |request: Request, next: Next| guard(scope, request, next)))
}

/// Says in the description who may use a route, and that whatever goes wrong is told as a problem.
fn describe(paths: &mut Paths, scope: Option<Scope>, routes: &mut Vec<Route>) {
    for (path, item) in &mut paths.paths {
        for (method, slot) in METHODS {
            let Some(operation) = slot(item) else { continue };
            routes.push(Route { method, path: path.clone(), scope, described: true });
            let schemes = match scope {
                Some(_) => vec![
                    SecurityRequirement::new("token", Vec::<String>::new()),
                    SecurityRequirement::new("session", Vec::<String>::new()),
                ],
                None => Vec::new(),
            };
            operation.security = Some(schemes);
            if let Some(scope) = scope {
                let said = format!("Needs the scope `{}`.", scope.as_str());
                let before = operation.description.take();
                operation.description =
                    Some(before.map_or_else(|| said.clone(), |before| format!("{before}\n\n{said}")));
            }
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let problem = ResponseBuilder::new()
                .description("What went wrong, by RFC 9457.")
                .content(PROBLEM_JSON, content)
                .build();
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
        }
    }
}

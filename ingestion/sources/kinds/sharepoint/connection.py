"""Connections to Microsoft Graph, to the sign-in, and to SharePoint, each only to its own host."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urljoin

from cairn.messages import CodedMessage
from ingestion.sources.access_tokens import AccessToken
from ingestion.sources.json_api import JsonApi
from ingestion.sources.kinds.sharepoint.credentials import build_token_request
from ingestion.sources.kinds.sharepoint.graph import Site
from ingestion.sources.kinds.sharepoint.options import SharepointOptions
from ingestion.sources.kinds.sharepoint.source import STORAGE, SharepointSource
from ingestion.sources.protocol import SourceRefused
from ingestion.sources.web_server import open_web_server


@contextmanager
def connect(options: SharepointOptions) -> Iterator[SharepointSource]:
    """Open connections as they are needed."""
    with (
        ExitStack() as stack,
        open_web_server(options.login_url) as login,
        open_web_server(options.url) as graph,
    ):
        for server in (login, graph):
            server.require_encryption()
        path = f"{options.tenant}/oauth2/v2.0/token"
        apis = dict[str, JsonApi]()

        def make_token(url: str) -> AccessToken:
            return AccessToken(login, path, lambda: build_token_request(options, f"{url}.default"))

        def open_site(site: Site) -> JsonApi:
            """Open a site's own server. Raises SourceRefused if it isn't one of SharePoint."""
            if not options.certificate.get_secret_value():
                raise SourceRefused(CodedMessage("sharepoint_certificate_needed"))
            if not graph.may_lead_to(site.url, STORAGE):
                raise SourceRefused(
                    CodedMessage("source_redirects", server=graph.name, target=site.url[:200])
                )
            address = urljoin(site.url, "/")
            if address not in apis:
                headers = {"Accept": "application/json;odata=nometadata"}
                server = stack.enter_context(open_web_server(address, headers=headers))
                apis[address] = JsonApi(server, make_token(address).headers)
            return apis[address]

        yield SharepointSource(options, JsonApi(graph, make_token(options.url).headers), open_site)

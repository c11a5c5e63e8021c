"""Shop systems by the marks that they leave on pages, and which of their settings must name visitors' address.

Here: a table and ``recognise``, pure.  Not here: whether advice is called for (the checks).  Advice is words, filled
with ``{public}`` (https://shop.example) and ``{host}`` (shop.example).  A mark counts when a cookie, a form field or a
piece of the page's source has it; the table is read from the top, particular systems before what they are built on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edgeproxy.doctor.model import Answer, Page, Setup


@dataclass(frozen=True, slots=True)
class Platform:
    name: str
    cookies: str = "(?!)"  # patterns of whole names
    fields: str = "(?!)"
    source: str = "(?!)"  # found anywhere in the page
    hosts: str = "its list of allowed hosts must hold {host}"
    origins: str = "its list of trusted origins, if it has one, must hold {public}"
    proto: str = "let it believe X-Forwarded-Proto from edgeproxy's address"
    domain: str = "its cookie domain must be {host}, or better empty"
    links: str = "its base URL must be {public}"
    secure: str = "switch secure cookies on"


PLATFORMS: Final = (
    Platform(
        "Magento",
        cookies=r"form_key|X-Magento-Vary|mage-.*|private_content_version",
        fields="form_key",
        source=r"text/x-magento-init|Magento_",
        hosts="bin/magento config:set web/unsecure/base_url {public}/ (and web/secure/base_url)",
        origins="form_key is a token of the session alone: nothing to set, as long as the base URLs are {public}/",
        proto="bin/magento config:set web/secure/offloader_header X-Forwarded-Proto",
        domain="bin/magento config:set web/cookie/cookie_domain {host} (or empty)",
        links="bin/magento config:set web/unsecure/base_url {public}/ (and web/secure/base_url), then cache:flush",
    ),
    Platform(
        "WooCommerce (WordPress)",
        cookies=r"wp_woocommerce_session_.*|woocommerce_.*|wordpress_.*",
        fields=r"_wpnonce|woocommerce-.*-nonce",
        source=r"/wp-content/|/wp-includes/",
        hosts="Settings, General: WordPress Address and Site Address must be {public} (WP_HOME, WP_SITEURL)",
        origins="nonces ask for no origin: nothing to set, as long as Site Address is {public}",
        proto="in wp-config.php: if (($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '') === 'https') $_SERVER['HTTPS'] = 'on';",
        domain="take COOKIE_DOMAIN out of wp-config.php, or set it to {host}",
        links="Settings, General: WordPress Address and Site Address must be {public}",
    ),
    Platform(
        "PrestaShop",
        cookies=r"PrestaShop-.*",
        source=r"var prestashop\s*=|content=\"PrestaShop\"",
        hosts="Shop Parameters, Traffic & SEO: shop domain and SSL domain must be {host}",
        origins="its tokens ask for no origin: nothing to set, as long as the shop domains are {host}",
        proto="it believes X-Forwarded-Proto: https by itself; switch SSL on in Shop Parameters, General",
        domain="its cookies follow the shop domain: Shop Parameters, Traffic & SEO",
        links="Shop Parameters, Traffic & SEO: shop domain and SSL domain must be {host}",
    ),
    Platform(
        "Shopware",
        cookies=r"session-|sw-.*",
        source=r"/theme/[0-9a-f]{32}/|shopware",
        hosts="Sales Channel, Domains: add {public}",
        origins="it looks at SameSite, not at Origin: nothing to set, as long as the sales channel has {public}",
        proto="TRUSTED_PROXIES (framework.trusted_proxies) must hold edgeproxy's address",
        links="Sales Channel, Domains: add {public}",
    ),
    Platform(
        "Django",
        cookies=r"csrftoken|django_.*",
        fields="csrfmiddlewaretoken",
        hosts='ALLOWED_HOSTS must hold "{host}"',
        origins='CSRF_TRUSTED_ORIGINS must hold "{public}"',
        proto='SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")',
        domain="SESSION_COOKIE_DOMAIN and CSRF_COOKIE_DOMAIN = None",
        links="build links from the request (or set django.contrib.sites' domain to {host})",
        secure="SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True",
    ),
    Platform(
        "Rails (Spree, Solidus)",
        fields="authenticity_token",
        source=r"<meta[^>]+name=\"csrf-param\"",
        hosts='config.hosts << "{host}"',
        origins="forgery_protection_origin_check compares Origin with the address that Rails believes it has: Host and"
        " X-Forwarded-Proto must reach it ({public})",
        proto="let what stands before Rails pass X-Forwarded-Proto on (or config.assume_ssl = true)",
        domain="take domain: out of config.session_store, or set it to {host}",
        links="default_url_options[:host] and Spree's store URL must be {host}",
        secure="config.force_ssl = true",
    ),
    Platform(
        "Laravel",
        cookies=r"laravel_session|XSRF-TOKEN",
        hosts="APP_URL={public}, and the trustHosts middleware, if it is on, must name {host}",
        origins="APP_URL={public}; SANCTUM_STATEFUL_DOMAINS={host} where Sanctum is used",
        proto="$middleware->trustProxies(at: ['EDGEPROXY-ADDRESS']) in bootstrap/app.php",
        domain="SESSION_DOMAIN=null",
        links="APP_URL={public}",
        secure="SESSION_SECURE_COOKIE=true",
    ),
    Platform(
        "ASP.NET",
        cookies=r"\.AspNetCore\..*|ASP\.NET_SessionId|__RequestVerificationToken.*",
        fields="__RequestVerificationToken",
        hosts="AllowedHosts must hold {host}",
        origins="antiforgery tokens ask for no origin: nothing to set but forwarded headers",
        proto="UseForwardedHeaders with XForwardedProto, and edgeproxy's address in KnownProxies",
        secure="CookieSecurePolicy.Always",
    ),
    Platform(
        "SvelteKit",
        source=r"__sveltekit_",
        origins="ORIGIN={public} for adapter-node (or csrf.trustedOrigins)",
        proto="PROTOCOL_HEADER=x-forwarded-proto HOST_HEADER=host (or ORIGIN={public})",
        links="ORIGIN={public}",
    ),
    Platform(
        "Next",
        source=r"__NEXT_DATA__|self\.__next_f",
        origins='experimental.serverActions.allowedOrigins must hold "{host}"',
        links="metadataBase (or the site's own URL setting) must be {public}",
    ),
    Platform(
        "Spring",
        fields="_csrf",
        hosts="server.forward-headers-strategy=framework",
        origins="CORS configuration, if there is one, must allow {public}",
        proto="server.forward-headers-strategy=framework",
        domain="take server.servlet.session.cookie.domain out",
        secure="server.servlet.session.cookie.secure=true",
    ),
    Platform(
        "Symfony (Sylius)",
        cookies="sf_redirect",
        fields=r"_csrf_token|.*\[_token\]|.*\[_csrf_token\]",
        hosts="framework.trusted_hosts must match {host} (and the channel's hostname in Sylius)",
        origins="framework.csrf_protection with check_header, if it is on, needs Host and X-Forwarded-Proto",
        proto="framework.trusted_proxies must hold edgeproxy's address",
    ),
)  # fmt: skip

UNKNOWN: Final = Platform("")
_TOKEN: Final = re.compile(
    r"csrf|xsrf|authenticity|form_?key|nonce|^_?token$|VerificationToken|\[_token\]", re.IGNORECASE
)


def recognise(pages: Sequence[Page], answers: Sequence[Answer]) -> Platform:
    """Whose marks these answers bear; ``UNKNOWN`` when none are known."""
    cookies = {line.partition("=")[0].strip() for answer in answers for line in answer.all("set-cookie")}
    fields = {name for page in pages for name in field_names(page)}
    sources = [page.last.body.decode("latin-1") for page in pages]
    for platform in PLATFORMS:  # what is sent back is surer than what stands in a page, which may be a guest there
        if any(re.fullmatch(platform.cookies, name) for name in cookies):
            return platform
        if any(re.fullmatch(platform.fields, name) for name in fields):
            return platform
    for platform in PLATFORMS:
        if any(re.search(platform.source, source) for source in sources):
            return platform
    return UNKNOWN


def field_names(page: Page) -> tuple[str, ...]:
    """Names of the fields of a page's forms."""
    return tuple(field.attr("name") or "" for field in page.document.select("form input[name]"))


def is_token(name: str) -> bool:
    """A field that proves that a form came from the shop's own page."""
    return _TOKEN.search(name) is not None


def told(advice: str, setup: Setup) -> str:
    """A platform's advice for this set-up."""
    host = setup.visitors.partition(":")[0] if setup.host else "YOUR-NAME"
    return advice.replace("{public}", setup.named).replace("{host}", host)

"""The one settings file. Every value that an operator may change comes from the environment or `.env`.

`.env.example` says what each is for; a test holds the two and the README's table against one another.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "2.0.0"

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

# --- Core
SECRET_KEY = env.str("SECRET_KEY")
if not SECRET_KEY:
    raise ImproperlyConfigured("SECRET_KEY is empty")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
PUBLIC_URL = env.str("PUBLIC_URL", default="").rstrip("/")
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
DATA_DIR = BASE_DIR / Path(env.str("DATA_DIR", default="data")).expanduser()
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)

CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
if PUBLIC_URL:
    if urlsplit(PUBLIC_URL).scheme not in {"http", "https"}:
        raise ImproperlyConfigured("PUBLIC_URL does not begin with https:// or http://")
    CSRF_TRUSTED_ORIGINS.append(PUBLIC_URL)
    ALLOWED_HOSTS.append(urlsplit(PUBLIC_URL).hostname or "")
BEHIND_TLS = PUBLIC_URL.startswith("https://")

ROOT_URLCONF = "gantry.urls"
ASGI_APPLICATION = "gantry.asgi.application"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# DRF reads a naive time in this zone.
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
LANGUAGE_CODE = "en"

# A body over this is refused before it is read; the longest message, escaped, fits twice.
MAX_BODY_BYTES = 8_000_000
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

# --- Apps
INSTALLED_APPS = [
    "daphne",  # first: it makes runserver speak ASGI
    "apps.core",
    "apps.accounts",
    "apps.llm",
    "apps.memory",
    "apps.conversations",
    "apps.musehub",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "heroicons",
]

MIDDLEWARE = [
    "apps.core.requests.RequestLog",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "apps.accounts.authentication.SessionUser",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": [
                "apps.core.templatetags.icons",
                "apps.core.templatetags.moments",
                "django.templatetags.static",
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# The app serves its own static files; sources are found where they lie, so nothing has to be collected first.
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# --- Database
DATABASE_URL = env.str("DATABASE_URL", default="")
# A path is not put into a URL: it may hold characters that mean something there.
SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATA_DIR / "gantry.db")}
DATABASES: dict[str, dict[str, Any]] = {"default": env.db_url_config(DATABASE_URL) if DATABASE_URL else SQLITE}
if DATABASES["default"]["ENGINE"] not in {SQLITE["ENGINE"], "django.db.backends.postgresql"}:
    raise ImproperlyConfigured("DATABASE_URL is neither empty nor postgres://…")
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    if not Path(DATABASES["default"]["NAME"]).is_absolute():
        DATABASES["default"]["NAME"] = str(BASE_DIR / DATABASES["default"]["NAME"])
    # Writers queue for the lock instead of failing when a reader wants to become a writer.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
            # What is deleted is overwritten, whatever the library was built with.
            "PRAGMA secure_delete=ON;"
        ),
    }
    # A file, since a test's threads each need a connection of their own.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.db")}
# Requests' threads keep their connections (apps.core.handler).
DATABASES["default"]["CONN_MAX_AGE"] = None
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

# --- Signing in
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["apps.accounts.authentication.EmailBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.BCryptSHA256PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/"

SESSION_EXPIRE_HOURS = env.int("SESSION_EXPIRE_HOURS", default=24)
SESSION_ENGINE = "apps.accounts.sessions"
SESSION_COOKIE_NAME = "session_token"
SESSION_COOKIE_AGE = SESSION_EXPIRE_HOURS * 3600
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "gantry.urls.csrf_failure"
LOGIN_FAILURES_ALLOWED = 5
LOGIN_FAILURES_WINDOW_MINUTES = 15

SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.accounts.authentication.BearerAuthentication",
        "apps.accounts.authentication.CookieAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    # Forms too, for the browsable API.
    "DEFAULT_PARSER_CLASSES": [
        "apps.core.rest.StrictJSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "apps.core.errors.exception_handler",
    # `?format=` belongs to the export of a conversation.
    "URL_FORMAT_OVERRIDE": None,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Nebulus Gantry",
    "DESCRIPTION": "Chat with a model you run yourself, and keep what was said.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- Realtime
REDIS_URL = env.str("REDIS_URL", default="")
# A channel that is full drops silently; frames are merged to at most 20 a second, so 1,000 is most of a minute.
CHANNEL_LAYERS = {
    "default": (
        {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL]},
        }
        if REDIS_URL
        else {"BACKEND": "apps.core.layer.LocalChannelLayer", "CONFIG": {"capacity": 1000}}
    )
}

# --- The model server
TABBY_HOST = env.str("TABBY_HOST", default="").rstrip("/")
LLM_API_KEY = env.str("LLM_API_KEY", default="")
DEFAULT_MODEL = env.str("DEFAULT_MODEL", default="")
LLM_CONNECT_TIMEOUT = env.float("LLM_CONNECT_TIMEOUT", default=10)
LLM_FIRST_BYTE_TIMEOUT = env.float("LLM_FIRST_BYTE_TIMEOUT", default=300)
LLM_SILENCE_TIMEOUT = env.float("LLM_SILENCE_TIMEOUT", default=60)
LLM_TOTAL_TIMEOUT = env.float("LLM_TOTAL_TIMEOUT", default=1800)
LLM_CONTEXT_TOKENS = env.int("LLM_CONTEXT_TOKENS", default=0)

# --- Long-term memory
CHROMA_HOST = env.str("CHROMA_HOST", default="")
EMBEDDING_MODEL = env.str("EMBEDDING_MODEL", default="")
EXTRACT_WITH_LLM = env.bool("EXTRACT_WITH_LLM", default=False)
# A reply waits for memory no longer than this.
MEMORY_TIMEOUT = env.float("MEMORY_TIMEOUT", default=1.0)

# --- Recording sessions
STUDIO_FORGOTTEN_HOURS = env.float("STUDIO_FORGOTTEN_HOURS", default=12)

# --- Logging
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
    raise ImproperlyConfigured("LOG_LEVEL is none of DEBUG, INFO, WARNING and ERROR")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "apps.core.requests.RequestIdFilter"}},
    "formatters": {"line": {"()": "apps.core.requests.LineFormatter"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "stream": sys.stderr,
            "filters": ["request_id"],
            "formatter": "line",
        }
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Their lines say again what ours (apps.core.requests) say, with query strings.
        "django.server": {"level": "ERROR"},
        "django.request": {"level": "ERROR"},
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
    },
}

"""Media types by file name, from our own table.

Never from the host's (mimetypes, /etc/mime.types): the same site must be served alike everywhere, and a
package that an administrator installs must not turn text into script. Types are IANA's registered ones where
there is one.
"""

from typing import Final

DEFAULT: Final = b"application/octet-stream"

# RFC 2046 §4.1.2 makes text without a charset US-ASCII; what is on disk today is UTF-8. Other types declare
# their encoding in the content (XML, SVG) or have none to choose (JSON, RFC 8259 §11).
_CHARSET: Final = b"; charset=utf-8"

# media type: extensions
_TABLE: Final[dict[str, str]] = {
    # The web
    "text/html": "html htm",
    "application/xhtml+xml": "xhtml xht",
    "text/css": "css",
    "text/javascript": "js mjs cjs",  # RFC 9239
    "application/json": "json map",
    "application/ld+json": "jsonld",
    "application/geo+json": "geojson",
    "application/manifest+json": "webmanifest",
    "application/wasm": "wasm",
    "application/xml": "xml xsd xsl rng",
    "application/xslt+xml": "xslt",
    "application/atom+xml": "atom",
    "application/rss+xml": "rss",
    "application/opensearchdescription+xml": "osdx",
    # Text
    "text/plain": "txt text log conf cfg ini nfo asc",
    "text/markdown": "md markdown",
    "text/x-rst": "rst",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/calendar": "ics",
    "text/vcard": "vcf",
    "text/vtt": "vtt",
    "text/x-diff": "diff patch",
    "text/x-python": "py pyi",
    "text/x-c": "c h cc cpp cxx hpp hh",
    "text/x-shellscript": "sh",
    # Images
    "image/apng": "apng",
    "image/avif": "avif avifs",
    "image/bmp": "bmp",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/jp2": "jp2",
    "image/jpeg": "jpg jpeg jpe jfif",
    "image/jxl": "jxl",
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/tiff": "tif tiff",
    "image/vnd.microsoft.icon": "ico cur",
    "image/webp": "webp",
    # Fonts
    "font/collection": "ttc",
    "font/otf": "otf",
    "font/ttf": "ttf",
    "font/woff": "woff",
    "font/woff2": "woff2",
    "application/vnd.ms-fontobject": "eot",
    # Audio
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/midi": "mid midi",
    "audio/mp4": "m4a m4b",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg oga opus spx",
    "audio/wav": "wav",
    "audio/webm": "weba",
    "audio/x-aiff": "aif aiff",
    # Video
    "video/mp2t": "ts m2ts",
    "video/mp4": "mp4 m4v",
    "video/iso.segment": "m4s",
    "video/mpeg": "mpg mpeg",
    "video/ogg": "ogv",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
    "video/x-msvideo": "avi",
    "video/3gpp": "3gp",
    "application/vnd.apple.mpegurl": "m3u8",
    "application/dash+xml": "mpd",
    # Archives and packages
    "application/gzip": "gz tgz",
    "application/java-archive": "jar war",
    "application/vnd.android.package-archive": "apk",
    "application/vnd.debian.binary-package": "deb",
    "application/vnd.rar": "rar",
    "application/x-7z-compressed": "7z",
    "application/x-bzip2": "bz2",
    "application/x-rpm": "rpm",
    "application/x-tar": "tar",
    "application/x-xz": "xz",
    "application/zip": "zip whl",
    "application/zstd": "zst",
    # Documents
    "application/pdf": "pdf",
    "application/postscript": "ps eps ai",
    "application/rtf": "rtf",
    "application/epub+zip": "epub",
    "application/msword": "doc dot",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.presentation": "odp",
    "application/vnd.oasis.opendocument.graphics": "odg",
    # Data
    "application/sql": "sql",
    "application/toml": "toml",
    "application/yaml": "yaml yml",
    "application/x-ndjson": "ndjson jsonl",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.file": "arrow",
    "application/vnd.sqlite3": "sqlite sqlite3",
    "application/vnd.google-earth.kml+xml": "kml",
    "application/vnd.google-earth.kmz": "kmz",
    "application/gpx+xml": "gpx",
    "application/pgp-signature": "sig",
    "application/x-x509-ca-cert": "crt der",
    "application/x-pem-file": "pem",
    "application/x-bittorrent": "torrent",
    "model/gltf+json": "gltf",
    "model/gltf-binary": "glb",
    "model/obj": "obj",
    "model/stl": "stl",
}


def _by_extension() -> dict[bytes, bytes]:
    return {
        extension.encode(): media_type.encode() + (_CHARSET if media_type.startswith("text/") else b"")
        for media_type, extensions in _TABLE.items()
        for extension in extensions.split()
    }


_BY_EXTENSION: Final = _by_extension()

# Names that their specifications give without an extension.
_BY_NAME: Final = {b"apple-app-site-association": b"application/json"}


def media_type(name: bytes) -> bytes:
    """The Content-Type of a file whose last path segment is `name`; case does not matter.

    The extension is what follows the last dot, so `archive.tar.gz` is application/gzip; a name that starts
    with its only dot has none.
    """
    stem, _, extension = name.rpartition(b".")
    if not stem:
        return _BY_NAME.get(name, DEFAULT)
    return _BY_EXTENSION.get(extension.lower(), DEFAULT)

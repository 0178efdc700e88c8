"""The templates, as text in a module: rendering then needs no file system, and the wheel has them."""

ERROR_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ code }} {{ title }}</title>
<style>
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1.1rem/1.5 system-ui }
main { padding: 2rem; max-width: 32rem }
h1 { margin: 0; font-size: 1.6rem; font-weight: 600 }
p { margin: .5rem 0 0; opacity: .75 }
</style>
</head>
<body>
<main>
<h1>{{ code }} {{ title }}</h1>
{% if explanation %}
<p>{{ explanation }}</p>
{% endif %}
</main>
</body>
</html>
"""

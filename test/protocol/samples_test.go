package protocol

// A sample is an answer of a site, with the request it is the answer to.
type sample struct {
	name       string
	parts      []string // as the site sends them
	page       bool     // a page, or an XML document, as browsers see it
	unreadable bool     // and it cannot be read
	plain      string   // its body without the coding
	suffix     string   // of the path
	fields     []string // of the request
}

// document is a sample that is a page.
func document(name, body string, fields ...string) sample {
	return sample{name: name, parts: []string{page(body, fields...)}, page: true, plain: body}
}

// other is a sample that is none.
func other(name, status, body string, fields ...string) sample {
	return sample{name: name, parts: []string{response(status, body, fields...)}, plain: body}
}

func (s sample) asked(suffix string, fields ...string) sample {
	s.suffix, s.fields = suffix, fields
	return s
}

func (s sample) coded(coding, label string) sample {
	body := code(coding, s.plain)
	s.parts = []string{page(body, "Content-Encoding: "+label, "Vary: Accept-Encoding", `ETag: "a"`)}
	return s
}

func (s sample) broken() sample { s.unreadable = true; return s }

const svg = `<svg xmlns="http://www.w3.org/2000/svg"><image href="` + vendor + `"/></svg>`

var samples = []sample{
	document("page", tracked),
	document("page with a charset", tracked, "Content-Type: text/html; charset=utf-8"),
	document("page with validators", tracked, `ETag: "a"`, "Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT", "Accept-Ranges: bytes"),
	document("page with a weak tag", tracked, `ETag: W/"a"`),
	document("page with a tag that is none", tracked, "ETag: abc"),
	document("page for shared caches", tracked, "Cache-Control: public, s-maxage=600, max-age=60", "Surrogate-Control: max-age=9", "CDN-Cache-Control: max-age=9", "Edge-Control: max-age=9", "X-Accel-Expires: 9", "Age: 3", "Expires: Mon, 02 Jan 2006 15:04:05 GMT"),
	document("page for no cache", tracked, "Cache-Control: no-store", "Pragma: no-cache"),
	document("page that varies", tracked, "Vary: Accept-Language, Cookie"),
	document("page that varies by all", tracked, "Vary: *"),
	document("page with digests", tracked, "Content-MD5: x", "Digest: sha-256=x", "Repr-Digest: sha-256=:x:", "Content-Digest: sha-256=:x:", "Signature: a=:x:", `Signature-Input: a=("repr-digest")`),
	document("page with a dictionary", tracked, `Use-As-Dictionary: match="/*"`),
	document("page with hints", tracked, "Link: </own.css>; rel=preload; as=style, <"+vendor+">; rel=preload; as=script", "Link: </next>; rel=next"),
	document("page with cookies", tracked, "Set-Cookie: session=1; Path=/; HttpOnly", "Set-Cookie: _ga=1; Path=/", "Set-Cookie: unknown=1", "Set-Cookie: _ga=; Max-Age=0"),
	document("page that refreshes", tracked, "Refresh: 5; url="+vendor),
	document("page that refreshes itself", tracked, "Refresh: 5; url=/own"),
	document("page with reports", tracked, `Reporting-Endpoints: own="/reports", out="`+vendor+`"`, `Report-To: {"group":"out","max_age":1,"endpoints":[{"url":"`+vendor+`"}]}`, `NEL: {"report_to":"out","max_age":1}`),
	document("page with speculation", tracked, `Speculation-Rules: "`+vendor+`", "/own.json"`, "Observe-Browsing-Topics: ?1"),
	document("page with attribution", tracked, `Attribution-Reporting-Register-Source: {"destination":"`+vendor+`"}`, `Attribution-Reporting-Register-OS-Trigger: "`+vendor+`"`),
	document("page with policies", tracked, "Content-Security-Policy: default-src *", "Content-Security-Policy-Report-Only: default-src 'self'; report-uri "+vendor, "Permissions-Policy: camera=()", "Strict-Transport-Security: max-age=9", "X-Frame-Options: DENY", "Referrer-Policy: no-referrer", "Cross-Origin-Opener-Policy: same-origin"),
	document("page with fields of its own", tracked, "X-Powered-By: PHP", "Server: raw", "Content-Language: en", "X-Content-Type-Options: nosniff", "Server-Timing: a;dur=1", "Accept-CH: Width", "X-Twice: 1", "X-Twice: 2", "X-Empty:"),
	document("page not to transform", tracked, "Cache-Control: no-transform"),
	document("page as a prefetch", tracked).asked("", "Sec-Purpose", "prefetch"),
	document("page asked for with tags", tracked, `ETag: "a"`).asked("", "If-None-Match", `"a", W/"b~cg0r0"`, "If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT", "If-Match", `"a"`),
	document("page asked for in slices", tracked).asked("", "Range", "bytes=0-9", "If-Range", `"a"`),
	document("page asked for compressed", tracked).asked("", "Accept-Encoding", "br;q=0.5, foo, dcb", "Available-Dictionary", ":x:", "Dictionary-Id", `"x"`),
	document("page in gzip", tracked).coded("gzip", "gzip").asked("", "Accept-Encoding", "gzip, br, zstd"),
	document("page in br", tracked).coded("br", "br").asked("", "Accept-Encoding", "gzip, br, zstd"),
	document("page in zstd", tracked).coded("zstd", "zstd").asked("", "Accept-Encoding", "gzip, br, zstd"),
	document("page in gzip unasked", tracked).coded("gzip", "gzip"),
	document("page in an unknown coding", tracked, "Content-Encoding: foo").broken(),
	document("page with a wrong label", tracked, "Content-Encoding: gzip").broken().asked("", "Accept-Encoding", "gzip"),
	document("page in iso-2022-jp", tracked, "Content-Type: text/html; charset=iso-2022-jp").broken(),
	{name: "page of no type", parts: []string{response("200 OK", tracked, "X-Nothing: here")}, page: true, plain: tracked},
	{name: "page in chunks", parts: []string{head("200 OK", "Content-Type: text/html", "Transfer-Encoding: chunked") + chunk(tracked) + "0\r\n\r\n"}, page: true, plain: tracked},
	{name: "page without an end", parts: []string{head("200 OK", "Content-Type: text/html", "Connection: close") + tracked}, page: true, plain: tracked},
	{name: "page with trailers", parts: []string{head("200 OK", "Content-Type: text/html", "Trailer: X-T, Repr-Digest", "Transfer-Encoding: chunked") + chunk(tracked) + "0\r\nX-T: yes\r\nRepr-Digest: sha-256=:x:\r\n\r\n"}, page: true, plain: tracked},
	{name: "page after hints", parts: hinted, page: true, plain: tracked},
	{name: "slice of a page", parts: []string{response("206 Partial Content", tracked, "Content-Type: text/html", "Content-Range: bytes 0-9/99")}, page: true, unreadable: true, plain: tracked},
	{name: "not found", parts: []string{response("404 Not Found", tracked, "Content-Type: text/html")}, page: true, plain: tracked},
	{name: "failure", parts: []string{response("500 Internal Server Error", tracked, "Content-Type: text/html", "Retry-After: 5")}, page: true, plain: tracked},
	{name: "teapot", parts: []string{response("418 I'm a teapot", tracked, "Content-Type: text/html")}, page: true, plain: tracked},
	{name: "unauthorized", parts: []string{response("401 Unauthorized", tracked, "Content-Type: text/html", "WWW-Authenticate: Basic")}, page: true, plain: tracked},
	{name: "XHTML", parts: []string{response("200 OK", "<html xmlns='http://www.w3.org/1999/xhtml'/>", "Content-Type: application/xhtml+xml", `ETag: "a"`)}, page: true},
	{name: "SVG", parts: []string{response("200 OK", svg, "Content-Type: image/svg+xml")}, page: true},
	{name: "SVG as a picture", parts: []string{response("200 OK", svg, "Content-Type: image/svg+xml", `ETag: "a"`)}, page: true, suffix: ".svg", fields: []string{"Sec-Fetch-Dest", "image"}},
	other("moved", "302 Found", tracked, "Content-Type: text/plain", "Location: /x", "Set-Cookie: _ga=1", "Set-Cookie: session=1"),
	other("moved for good", "301 Moved Permanently", "", "Location: "+vendor, "Cache-Control: public, max-age=60"),
	other("style sheet", "200 OK", "p{}", "Content-Type: text/css", `ETag: "a"`, "Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT", "Cache-Control: public, s-maxage=9").asked(".css", "Sec-Fetch-Dest", "style"),
	other("script", "200 OK", "1", "Content-Type: text/javascript", "Cache-Control: public", "Vary: Origin", "SourceMap: /a.map").asked(".js", "Sec-Fetch-Dest", "script"),
	other("script in gzip", "200 OK", zip("1"), "Content-Type: text/javascript", "Content-Encoding: gzip").asked(".js", "Sec-Fetch-Dest", "script", "Accept-Encoding", "gzip"),
	other("JSON", "200 OK", `{"a":"`+vendor+`"}`, "Content-Type: application/json", "Access-Control-Allow-Origin: *"),
	other("picture", "200 OK", "\x89PNG\r\n\x1a\n", "Content-Type: image/png", `ETag: "a"`, "Accept-Ranges: bytes", "Set-Cookie: _ga=1").asked(".png", "Sec-Fetch-Dest", "image"),
	other("slice of a film", "206 Partial Content", "xxxxxxxxxx", "Content-Type: video/mp4", "Content-Range: bytes 0-9/99", `ETag: "a"`).asked(".mp4", "Sec-Fetch-Dest", "video", "Range", "bytes=0-9", "If-Range", `"a"`),
	other("download", "200 OK", tracked, "Content-Type: application/octet-stream", "Content-Disposition: attachment", "Repr-Digest: sha-256=:x:"),
	other("text", "200 OK", tracked, "Content-Type: text/plain", "Link: <"+vendor+">; rel=preload; as=script"),
	other("PDF", "200 OK", "%PDF-1.7 "+tracked, "Content-Type: application/pdf"),
	other("no page of no type", "200 OK", "{}", "X-Nothing: here"),
	other("unsatisfiable", "416 Range Not Satisfiable", "", "Content-Range: bytes */9", "Content-Type: video/mp4").asked(".mp4", "Sec-Fetch-Dest", "video", "Range", "bytes=90-99"),
	{name: "nothing", parts: []string{head("204 No Content", "Set-Cookie: _ga=1", "Set-Cookie: session=1")}},
	{name: "empty page", parts: []string{response("200 OK", "", "Content-Type: text/html")}, page: true},
	{name: "not modified picture", parts: []string{head("304 Not Modified", `ETag: "a"`, "Cache-Control: public")}, suffix: ".png", fields: []string{"Sec-Fetch-Dest", "image", "If-None-Match", `"a"`}},
	{name: "not modified, perhaps a page", parts: []string{head("304 Not Modified", `ETag: "a"`, "Cache-Control: public", "Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT")}, page: true, fields: []string{"If-None-Match", `"a"`}},
	{name: "events", parts: []string{head("200 OK", "Content-Type: text/event-stream", "Cache-Control: no-cache", "Connection: close") + "data: 1\n\n"}},
	{name: "trailers of no page", parts: []string{head("200 OK", "Content-Type: application/grpc", "Trailer: Grpc-Status", "Transfer-Encoding: chunked") + chunk("x") + "0\r\nGrpc-Status: 0\r\n\r\n"}},
}

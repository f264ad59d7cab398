package caches

// A step is one request of a scenario. In its fields {tag} and {date} stand for
// the validators of the last answer; a field whose validator is missing is left
// out.
type step struct {
	method string // GET if empty
	fields []string
	// wait: first everything kept for a second only gets stale, and what changes
	// changes.
	wait bool
}

// A scenario is one row of the suite: what the site answers, and what is asked.
type scenario struct {
	name    string
	head    []string // of the answer
	tag     string
	date    bool
	by      string // field the body differs by
	gzip    bool
	code    int
	changes bool // while the test waits
	steps   []step
	// pages says why a page is answered otherwise than without the gateway, ""
	// if it must not be.
	pages string
	// lines: two lines of If-None-Match, which nginx refuses.
	lines bool
}

// noParts is the one reason for which pages lose something.
const noParts = "a part of a page cannot be judged: the whole is sent (A15)"

var (
	get    = step{}
	later  = step{wait: true}
	again  = step{fields: []string{"If-None-Match", "{tag}", "If-Modified-Since", "{date}"}}
	again2 = step{wait: true, fields: again.fields}
	head   = step{method: "HEAD"}
)

func with(fields ...string) step { return step{fields: fields} }

func cc(values ...string) (fields []string) {
	for _, v := range values {
		fields = append(fields, "Cache-Control", v)
	}
	return fields
}

// scenarios follow the parts of the http-cache-tests: freshness, validation, what
// a 304 changes, HEAD, parts, Vary, cookies, statuses.
var scenarios = []scenario{
	{name: "max-age", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, get}},
	{name: "max-age, no validator", head: cc("max-age=600"), steps: []step{get, get}},
	{name: "s-maxage goes before max-age", head: cc("max-age=0, s-maxage=600"), tag: `"1"`, steps: []step{get, get}},
	{name: "public alone", head: cc("public"), steps: []step{get, get}},
	{name: "Expires, later", head: []string{"Expires", "Thu, 01 Jan 2099 00:00:00 GMT"}, tag: `"1"`, steps: []step{get, get}},
	{name: "Expires, past", head: []string{"Expires", "Thu, 01 Jan 2004 00:00:00 GMT"}, tag: `"1"`, steps: []step{get, get}},
	{name: "Expires, no date", head: []string{"Expires", "0"}, tag: `"1"`, steps: []step{get, get}},
	{name: "Expires, overruled", head: append([]string{"Expires", "Thu, 01 Jan 2004 00:00:00 GMT"}, cc("max-age=600")...), steps: []step{get, get}},
	{name: "no-store", head: cc("no-store"), steps: []step{get, get}},
	{name: "no-store beside public", head: cc("public, max-age=600, no-store"), steps: []step{get, get}},
	{name: "private", head: cc("private, max-age=600"), tag: `"1"`, steps: []step{get, get, again}},
	{name: "private for a field", head: cc(`private="x-a", max-age=600`), steps: []step{get, get}},
	{name: "no-cache", head: cc("no-cache"), tag: `"1"`, steps: []step{get, get, again}},
	{name: "max-age=0", head: cc("max-age=0"), tag: `"1"`, steps: []step{get, get, again}},
	{name: "must-revalidate, fresh", head: cc("max-age=600, must-revalidate"), tag: `"1"`, steps: []step{get, get}},
	{name: "immutable", head: cc("max-age=600, immutable"), tag: `"1"`, steps: []step{get, get}},
	{name: "several lines", head: cc("public", "max-age=600"), tag: `"1"`, steps: []step{get, get}},
	{name: "capitals", head: cc("PUBLIC, MAX-AGE=600"), tag: `"1"`, steps: []step{get, get}},
	{name: "unknown words", head: cc(`max-age=600, x-y="no-store, private"`), tag: `"1"`, steps: []step{get, get}},
	{name: "a date and nothing else", date: true, steps: []step{get, get}},
	{name: "nothing", steps: []step{get, get}},
	{name: "Age", head: append([]string{"Age", "30"}, cc("max-age=600")...), tag: `"1"`, steps: []step{get, get}},
	{name: "Pragma", head: []string{"Pragma", "no-cache"}, steps: []step{get, get}},
	{name: "fields for a CDN", head: append([]string{"Surrogate-Control", "max-age=600", "CDN-Cache-Control", "max-age=600"}, cc("max-age=600")...), steps: []step{get, get}},
	{name: "X-Accel-Expires", head: []string{"X-Accel-Expires", "600"}, steps: []step{get, get}},
	{name: "the client reloads", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, with("Cache-Control", "no-cache", "Pragma", "no-cache")}},

	{name: "tag", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, again}},
	{name: "weak tag", head: cc("max-age=600"), tag: `W/"1"`, steps: []step{get, again}},
	{name: "date", head: cc("max-age=600"), date: true, steps: []step{get, again}},
	{name: "tag and date", head: cc("max-age=600"), tag: `"1"`, date: true, steps: []step{get, again}},
	{name: "tag, not stored", head: cc("no-cache"), tag: `W/"1"`, date: true, steps: []step{get, again}},
	{name: "date, not stored", head: cc("no-cache"), date: true, steps: []step{get, again}},
	{name: "tag in a list", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, with("If-None-Match", `"x", {tag}, W/"y,z"`)}},
	{name: "tag in a list, not stored", head: cc("no-cache"), tag: `"1"`, steps: []step{get, with("If-None-Match", `"x", {tag}, W/"y,z"`)}},
	{name: "tag in the second line", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, with("If-None-Match", `"x"`, "If-None-Match", "{tag}")}, lines: true},
	{name: "tag in the second line, not stored", head: cc("no-cache"), tag: `"1"`, steps: []step{get, with("If-None-Match", `"x"`, "If-None-Match", "{tag}")}, lines: true},
	{name: "other tags", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, with("If-None-Match", `"x", W/"y"`)}},
	{name: "other tag, and the date", head: cc("no-cache"), tag: `"1"`, date: true, steps: []step{get, with("If-None-Match", `"x"`, "If-Modified-Since", "{date}")}},
	{name: "any tag", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, with("If-None-Match", "*")}},
	{name: "any tag, not stored", head: cc("no-cache"), tag: `"1"`, steps: []step{get, with("If-None-Match", "*")}},
	{name: "weakened tag", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, with("If-None-Match", "W/{tag}")}},
	{name: "weakened tag, not stored", head: cc("no-cache"), tag: `"1"`, steps: []step{get, with("If-None-Match", "W/{tag}")}},
	{name: "tag without quotes", head: cc("no-cache"), tag: `"1"`, steps: []step{get, with("If-None-Match", "1")}},

	{name: "stale, unchanged", head: cc("s-maxage=1"), tag: `"1"`, steps: []step{get, later, get}},
	{name: "stale, unchanged, by date", head: cc("s-maxage=1"), date: true, steps: []step{get, later, get}},
	{name: "stale, unchanged, weak tag", head: cc("s-maxage=1"), tag: `W/"1"`, steps: []step{get, later, get}},
	{name: "stale, changed", head: cc("s-maxage=1"), tag: `"1"`, changes: true, steps: []step{get, later, get}},
	{name: "stale, changed, by date", head: cc("s-maxage=1"), date: true, changes: true, steps: []step{get, later, get}},
	{name: "stale, asked about, unchanged", head: cc("max-age=1"), tag: `"1"`, date: true, steps: []step{get, again2, get}},
	{name: "stale, asked about, changed", head: cc("max-age=1"), tag: `"1"`, date: true, changes: true, steps: []step{get, again2, again}},
	{name: "stale, must-revalidate", head: cc("max-age=1, must-revalidate"), tag: `"1"`, steps: []step{get, later}},
	{name: "not stored, changed", head: cc("no-cache"), tag: `"1"`, changes: true, steps: []step{get, again2, again}},

	{name: "HEAD, then GET", head: cc("max-age=600"), tag: `"1"`, steps: []step{head, get}},
	{name: "GET, then HEAD", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, head}},
	{name: "HEAD about a tag", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, {method: "HEAD", fields: again.fields}}},

	{name: "part of what is stored", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, with("Range", "bytes=0-9")}, pages: noParts},
	{name: "part, then all", head: cc("max-age=600"), tag: `"1"`, steps: []step{with("Range", "bytes=5-9"), get}, pages: noParts},
	{name: "the end", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, with("Range", "bytes=-5")}, pages: noParts},
	{name: "beyond the end", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, with("Range", "bytes=99999-")}, pages: noParts},
	{name: "part, not stored", head: cc("no-cache"), tag: `"1"`, steps: []step{get, with("Range", "bytes=0-9")}, pages: noParts},
	{name: "part if the tag still holds", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, with("Range", "bytes=0-9", "If-Range", "{tag}")}, pages: noParts},
	{name: "part if another tag holds", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, with("Range", "bytes=0-9", "If-Range", `"x"`)}},

	{name: "Vary, the same", head: append([]string{"Vary", "Accept-Language"}, cc("max-age=600")...), tag: `"1"`, by: "Accept-Language", steps: []step{with("Accept-Language", "en"), with("Accept-Language", "en")}},
	{name: "Vary, different", head: append([]string{"Vary", "Accept-Language"}, cc("max-age=600")...), tag: `"1"`, by: "Accept-Language", steps: []step{with("Accept-Language", "en"), with("Accept-Language", "de"), with("Accept-Language", "en")}},
	{name: "Vary, different, about a tag", head: append([]string{"Vary", "Accept-Language"}, cc("max-age=600")...), tag: `"1"`, by: "Accept-Language", steps: []step{with("Accept-Language", "en"), with("Accept-Language", "de", "If-None-Match", "{tag}")}},
	{name: "Vary, absent once", head: append([]string{"Vary", "Accept-Language"}, cc("max-age=600")...), tag: `"1"`, by: "Accept-Language", steps: []step{with("Accept-Language", "en"), get}},
	{name: "Vary on anything", head: append([]string{"Vary", "*"}, cc("max-age=600")...), tag: `"1"`, steps: []step{get, get}},
	{name: "Vary on the coding", head: append([]string{"Vary", "Accept-Encoding"}, cc("max-age=600")...), tag: `"1"`, gzip: true, steps: []step{with("Accept-Encoding", "gzip"), with("Accept-Encoding", "gzip"), with("Accept-Encoding", "identity")}},
	{name: "Vary on the coding, about a tag", head: append([]string{"Vary", "Accept-Encoding"}, cc("max-age=600")...), tag: `"1"`, gzip: true, steps: []step{with("Accept-Encoding", "gzip"), with("Accept-Encoding", "gzip", "If-None-Match", "{tag}")}},

	{name: "cookie sent", head: cc("max-age=600"), tag: `"1"`, steps: []step{with("Cookie", "session=1"), with("Cookie", "session=2")}},
	{name: "cookie set", head: append([]string{"Set-Cookie", "session=1; Path=/"}, cc("max-age=600")...), tag: `"1"`, steps: []step{get, get}},
	{name: "404", head: cc("max-age=600"), code: 404, steps: []step{get, get}},
	{name: "410, no lifetime", code: 410, steps: []step{get, get}},
	{name: "301", head: append([]string{"Location", "/elsewhere"}, cc("max-age=600")...), code: 301, steps: []step{get, get}},
	{name: "302", head: append([]string{"Location", "/elsewhere"}, cc("max-age=600")...), code: 302, steps: []step{get, get}},
	{name: "500", head: cc("max-age=600"), code: 500, steps: []step{get, get}},
	{name: "POST between", head: cc("max-age=600"), tag: `"1"`, steps: []step{get, {method: "POST"}, get}},
}

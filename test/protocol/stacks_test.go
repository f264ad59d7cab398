package protocol

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/test/gate"
)

// What happens to pages that cannot be read, in every configuration here: the
// line of the directive, and whether it makes the gateway answer 502. If not, it
// sends them under shield.
const (
	onUnreadable        = "failure_policy guarded"
	unreadableIsRefused = false
	shield              = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
)

// A stack is a set of handlers around the gateway and inside it.
type stack struct {
	name          string
	before, after string // Caddyfile lines; Caddy sorts them, the names say where they come to stand
	encode        bool   // asks for gzip, and undoes it
	templates     bool   // reads pages whole before it answers
}

const (
	logLines       = "log {\noutput discard\n}\n"
	encodeLines    = "encode {\nminimum_length 1\n}\n"
	interceptLines = "intercept {\n@gone status 410\nhandle_response @gone {\nheader Content-Type text/html\nrespond <<HTML\n" + tracked + "\nHTML 410\n}\n}\n"
	deferredLines  = "header >X-Late yes\n"
	// Without keepalive: Caddy's proxies share the variables of a request with
	// connections they still dial when an idle one was free, which is a race of
	// their own once a second proxy follows.
	authLines = "forward_auth {$AUTH} {\nuri /auth\n" + noKeepalive + "}\n"

	// A request over HTTP/3 has a body of unknown length until its end is seen. If
	// that takes long, Go's transport is still reading it while Caddy's proxy
	// writes to its trailers: another race that is not ours.
	noBody = "@bodiless method GET HEAD\nrequest_body @bodiless {\nset {vars.none}\n}\n"

	noKeepalive = "transport http {\nkeepalive off\n}\n"
)

// stacks are the handlers the rows run with.
var stacks = []stack{
	{name: "bare"},
	{name: "log", before: logLines},
	{name: "encode", before: encodeLines, encode: true},
	{name: "log+encode", before: logLines + encodeLines, encode: true},
	{name: "intercept", after: interceptLines},
	{name: "forward_auth", before: authLines},
	{name: "templates", after: "templates\n", templates: true},
	{name: "deferred", before: deferredLines},
	{name: "all", before: logLines + encodeLines + deferredLines + authLines, after: interceptLines, encode: true},
}

// measured are stacks under options that hold for all of Caddy: metrics of
// requests and responses, and a limit on idle writes, which wrap the response
// once more.
var measured = []stack{
	{name: "metrics"},
	{name: "metrics+log+encode", before: logLines + encodeLines, encode: true},
}

const measuredGlobal = "metrics\nservers {\ntimeouts {\nwrite_idle 60s\n}\n}"

// twin is the name of the site that has the same stack and no gateway.
func twin(name string) string { return name + " without" }

// A world is a running Caddy with two sites for each stack, and what stands
// behind them.
type world struct {
	*gate.Gate
	site *site
}

// The paths of what the stacks have behind them beside the raw site.
const (
	filesPath = "/files/"
	tickPath  = "/tick" // the raw site, flushed by a timer
	phpPath   = "/php/"
)

func newWorld(t *testing.T, list []stack, global string) *world {
	t.Helper()
	w := &world{site: newSite(t)}
	auth := newSite(t)
	auth.paths.Store("/auth", saying(response("200 OK", "")))
	root := files(t)
	php := fastCGI(t)
	config := gate.Config{Global: global, Sites: map[string]string{}}
	for _, s := range list {
		for name, consent := range map[string]string{s.name: "consent {\n" + onUnreadable + "\n}\n", twin(s.name): ""} {
			lines := noBody + "root * " + root + "\n" + s.before + consent + s.after +
				"@raw not path /files/* /php/* /tick*\n" +
				"reverse_proxy @raw " + w.site.addr + " {\n" + noKeepalive + "}\n" +
				"handle_path /tick* {\nreverse_proxy " + w.site.addr + " {\nflush_interval 1ms\n" + noKeepalive + "}\n}\n" +
				"php_fastcgi /php/* " + php + "\n" +
				"file_server /files/*\n" +
				"handle_errors {\n" + consent + "header Content-Type text/html\nrespond <<HTML\n" + tracked + "\nHTML {err.status_code}\n}\n"
			config.Sites[name] = strings.ReplaceAll(lines, "{$AUTH}", auth.addr)
		}
	}
	w.Gate = gate.Start(t, config)
	return w
}

// files makes the folder of the file server.
func files(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	blob := strings.Repeat("no page "+tracked+"\x00\xff", 3000)
	for name, data := range map[string]string{
		"files/index.html": tracked,
		"files/long.html":  "<!DOCTYPE html><meta charset=utf-8>" + strings.Repeat("<p>padding</p>\n", 5000) + tracked,
		"files/tpl.html":   `<!DOCTYPE html><title>t</title>{{include "/files/part.html"}}`,
		"files/part.html":  tracked,
		"files/a.css":      "p{}",
		"files/film.mp4":   strings.Repeat("x", 5000),
		"files/blob.bin":   blob,
		"php/page.php":     "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

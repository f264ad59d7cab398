package caches

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/consentgate/consentgate/test/gate"
)

// cacheField is the response field in which the caches of these tests tell
// whether they answered themselves.
const cacheField = "X-Test-Cache"

// find returns the path of a program. Debian keeps servers where a plain user's
// PATH does not lead.
func find(t testing.TB, name, pkg string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if path := "/usr/sbin/" + name; isFile(path) {
		return path
	}
	why := fmt.Sprintf("%s is not installed (apt-get install %s)", name, pkg)
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// run starts a program that stays in the foreground, waits until it listens on
// addr, and ends it with the test.
func run(t testing.TB, addr, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	out := new(output)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stopped := false
	t.Cleanup(func() {
		if stopped {
			return
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
			t.Errorf("%s had to be killed", filepath.Base(program))
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(program), out)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case err := <-ended:
			stopped = true
			t.Fatalf("%s ended: %v\n%s", filepath.Base(program), err, out)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen on %s\n%s", filepath.Base(program), addr, out)
		}
	}
}

// An output is what a program has said.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// write puts a file into a folder and returns its path.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A cache starts a cache in front of upstream and returns the address it listens
// on.
type cache func(t testing.TB, upstream string) string

// nginx is a cache of nginx with further lines for its location.
func nginx(lines string) cache {
	return func(t testing.TB, upstream string) string {
		t.Helper()
		program := find(t, "nginx", "nginx-light")
		dir, addr := t.TempDir(), gate.FreeAddr(t)
		user := ""
		if os.Getuid() == 0 {
			user = "user root;" // or the workers could not read the folder
		}
		config := write(t, dir, "nginx.conf", fmt.Sprintf(`%[1]s
daemon off;
worker_processes 1;
pid %[2]s/pid;
error_log stderr warn;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	proxy_cache_path %[2]s/cache keys_zone=site:1m max_size=64m use_temp_path=off;
	map $http_accept_encoding $coding {
		~gzip gzip;
		default identity;
	}
	upstream next {
		server %[3]s max_fails=0;
		keepalive 16;
	}
	server {
		listen %[4]s;
		location / {
			proxy_pass http://next;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-Host $http_host;
			proxy_cache site;
			add_header %[5]s $upstream_cache_status always;
%[6]s
		}
	}
}
`, user, dir, upstream, addr, cacheField, lines))
		run(t, addr, program, "-p", dir, "-c", config, "-e", "stderr")
		return addr
	}
}

// varnish is a cache of Varnish with subroutines of its own, which go before
// those that are built in.
func varnish(vcl string, params ...string) cache {
	return func(t testing.TB, upstream string) string {
		t.Helper()
		program := find(t, "varnishd", "varnish")
		host, port, err := net.SplitHostPort(upstream)
		if err != nil {
			t.Fatal(err)
		}
		dir, addr := t.TempDir(), gate.FreeAddr(t)
		file := write(t, dir, "site.vcl", fmt.Sprintf(`vcl 4.1;
backend default { .host = "%s"; .port = "%s"; }
%s
sub vcl_deliver {
	if (obj.hits > 0) { set resp.http.%[4]s = "HIT"; } else { set resp.http.%[4]s = "MISS"; }
}
`, host, port, vcl, cacheField))
		args := []string{"-F", "-n", filepath.Join(dir, "n"), "-j", "none", "-a", addr, "-T", "none", "-f", file,
			"-s", "malloc,32m", "-s", "Transient=malloc,32m", "-p", "thread_pools=1"}
		for _, p := range params {
			args = append(args, "-p", p)
		}
		run(t, addr, program, args...)
		return addr
	}
}

// The ways the caches of these tests are set up.
var (
	// Both heed Cache-Control, Set-Cookie and Vary, and do not mind Cookie.
	nginxPlain   = nginx("\t\t\tproxy_cache_revalidate on;\n\t\t\tproxy_cache_lock on;")
	varnishPlain = varnish(hashAll)
	// As a CDN that keys on the URL: Vary is for browsers only.
	nginxURL   = nginx("\t\t\tproxy_ignore_headers Vary;\n\t\t\tproxy_cache_key $request_uri$coding;\n\t\t\tproxy_cache_revalidate on;")
	varnishURL = varnish(hashAll + ignoreVary)
	// As a CDN told to store everything: only Vary is left.
	nginxForced = nginx("\t\t\tproxy_ignore_headers Cache-Control Expires X-Accel-Expires;\n\t\t\tproxy_cache_valid any 10m;")
	// As installed: any cookie of the request goes past the cache.
	varnishBuiltin = varnish("")
)

const (
	hashAll = `
sub vcl_recv {
	if (req.method == "GET" || req.method == "HEAD") { return (hash); }
}`
	ignoreVary = `
sub vcl_backend_response {
	if (beresp.http.Vary) {
		set beresp.http.X-Vary = beresp.http.Vary;
		unset beresp.http.Vary;
	}
}
sub vcl_deliver {
	if (resp.http.X-Vary) {
		set resp.http.Vary = resp.http.X-Vary;
		unset resp.http.X-Vary;
	}
}`
)

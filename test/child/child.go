// Package child runs the built gateway as a process of its own, on loopback ports:
// what it takes of CPU time and memory is the gateway's alone. The load tools
// beside it share it.
package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/consentgate/consentgate/test/client"
)

// Binary returns the path of a binary of the gateway: given, if it is not empty, or
// one built from the project's root. remove takes away what was made.
func Binary(ctx context.Context, given string) (path string, remove func() error, err error) {
	if given != "" {
		return given, func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "consentgate-")
	if err != nil {
		return "", nil, err
	}
	remove = func() error { return os.RemoveAll(dir) }
	if path, err = build(ctx, dir); err != nil {
		return "", nil, errors.Join(err, remove())
	}
	return path, remove, nil
}

// build makes the gateway's binary in dir, from the project's root.
func build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "consentgate")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/consentgate")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("building the gateway, from the project's root: %w", err)
	}
	return binary, nil
}

// Config says what the gateway is to run.
type Config struct {
	// Sites are the Caddyfile lines of each site, by a name of the tool's own.
	Sites map[string]string
}

// A Process is a running gateway.
type Process struct {
	dir    string
	file   string            // the Caddyfile
	plain  map[string]string // site -> host:port for HTTP
	secure map[string]string // site -> host:port for HTTPS, TCP and UDP
	admin  string            // host:port, also of the metrics
	cmd    *exec.Cmd
	gone   chan struct{} // closed when it has ended
	err    error         // how it ended
	client *http.Client  // for the admin endpoint
}

// Start runs the binary until Stop. Each site is reachable on a port of its own
// without TLS, and on another with it.
func Start(ctx context.Context, binary string, c Config) (*Process, error) {
	p := &Process{
		plain: map[string]string{}, secure: map[string]string{},
		gone: make(chan struct{}), client: &http.Client{Timeout: time.Minute},
	}
	var err error
	if p.dir, err = os.MkdirTemp("", "gateway-"); err != nil {
		return nil, err
	}
	if err := p.start(ctx, binary, c); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func (p *Process) start(ctx context.Context, binary string, c Config) error {
	names := slices.Sorted(maps.Keys(c.Sites))
	addrs, err := freeAddrs(2*len(names) + 1)
	if err != nil {
		return err
	}
	p.admin = addrs[0]
	for i, name := range names {
		p.plain[name], p.secure[name] = addrs[2*i+1], addrs[2*i+2]
	}
	p.file = filepath.Join(p.dir, "Caddyfile")
	if err := os.WriteFile(p.file, []byte(p.caddyfile(c)), 0o600); err != nil {
		return err
	}
	log, err := os.Create(p.Log())
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.Command(binary, "run", "--config", p.file)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		p.cmd = nil
		return err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.gone)
	}()
	return p.await(ctx)
}

func (p *Process) caddyfile(c Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n\tadmin %s\n\tpersist_config off\n\tauto_https disable_redirects\n\tskip_install_trust\n\tgrace_period 5s\n\tstorage file_system %s\n\tlog {\n\t\tlevel WARN\n\t}\n}\n", p.admin, p.dir)
	for _, name := range slices.Sorted(maps.Keys(c.Sites)) {
		fmt.Fprintf(&b, "http://%s {\n\tbind 127.0.0.1\n%s\n}\n", p.plain[name], c.Sites[name])
		fmt.Fprintf(&b, "https://%s {\n\tbind 127.0.0.1\n\ttls internal\n%s\n}\n", p.secure[name], c.Sites[name])
	}
	return b.String()
}

// await waits until every site answers, also under TLS, whose certificates are
// made at the start.
func (p *Process) await(ctx context.Context) error {
	c := Client(client.H1)
	defer c.CloseIdleConnections()
	deadline := time.Now().Add(30 * time.Second)
	for name := range p.plain {
		for _, proto := range []client.Proto{client.Plain, client.H1} {
			for {
				resp, err := c.Get(p.URL(proto, name, "/_cg/preferences"))
				if err == nil {
					_ = resp.Body.Close()
					break
				}
				if err := p.Ended(); err != nil {
					return err
				}
				if ctx.Err() != nil || time.Now().After(deadline) {
					return fmt.Errorf("waiting for the gateway: %w", errors.Join(err, ctx.Err()))
				}
				time.Sleep(50 * time.Millisecond)
			}
		}
	}
	return nil
}

// Ended returns why the process is not running any more, nil if it is.
func (p *Process) Ended() error {
	select {
	case <-p.gone:
		text, _ := os.ReadFile(p.Log())
		return fmt.Errorf("the gateway has ended: %w\n%s", errors.Join(p.err, errors.New("not asked to")), text)
	default:
		return nil
	}
}

// Stop ends the process, removes what it wrote and is safe to call twice.
func (p *Process) Stop() error {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.gone:
		case <-time.After(10 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.gone
		}
	}
	p.client.CloseIdleConnections()
	return os.RemoveAll(p.dir)
}

// Pid returns the id of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Log returns the file the process logs into.
func (p *Process) Log() string { return filepath.Join(p.dir, "log") }

// URL returns the address of a path of a site.
func (p *Process) URL(proto client.Proto, site, path string) string {
	if proto == client.Plain {
		return "http://" + p.plain[site] + path
	}
	return "https://" + p.secure[site] + path
}

// Reload loads the configuration again, though it is the same.
func (p *Process) Reload(ctx context.Context) error {
	text, err := os.ReadFile(p.file)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.admin+"/load", bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	req.Header.Set("Cache-Control", "must-revalidate") // as "caddy reload --force"
	_, err = p.admins(req)
	return err
}

// Get returns what the admin endpoint answers.
func (p *Process) Get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+path, nil)
	if err != nil {
		return nil, err
	}
	return p.admins(req)
}

func (p *Process) admins(req *http.Request) ([]byte, error) {
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", req.URL.Path, resp.Status, text)
	}
	return text, err
}

// Collect makes the process collect its garbage, a few times: what a pool gives up
// is free after the second time only, and a stack loses half of its size each time.
func (p *Process) Collect(ctx context.Context) error {
	for range 4 {
		if _, err := p.Get(ctx, "/debug/pprof/heap?gc=1"); err != nil {
			return err
		}
	}
	return nil
}

// Metrics returns the series of the process whose names have no labels, by name.
func (p *Process) Metrics(ctx context.Context) (map[string]float64, error) {
	text, err := p.Get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	m := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name == "#" || strings.Contains(name, "{") {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			m[name] = v
		}
	}
	return m, nil
}

// freeAddrs returns loopback addresses nobody listens on.
func freeAddrs(n int) ([]string, error) {
	var list []string
	var open []net.Listener
	defer func() {
		for _, ln := range open {
			_ = ln.Close()
		}
	}()
	for range 100 * n {
		if len(list) == n {
			return list, nil
		}
		// Below the range from which systems take the ports of outgoing
		// connections: one of those might take the port before Caddy does.
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000)))
		if err != nil {
			continue
		}
		open = append(open, ln) // until all are found, so that none is found twice
		list = append(list, ln.Addr().String())
	}
	return nil, errors.New("no free ports")
}

package caddymodule

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Handlers that do what no well-behaved one does.

func init() {
	caddy.RegisterModule(failingHandler{})
	caddy.RegisterModule(panickingWriter{})
	caddy.RegisterModule(hintingHandler{})
	caddy.RegisterModule(shortHandler{})
	httpcaddyfile.RegisterHandlerDirective("consent_test_fail", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(failingHandler), nil
	})
	httpcaddyfile.RegisterHandlerDirective("consent_test_panic", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		p := &panickingWriter{After: 20000}
		var err error
		if h.Next(); h.NextArg() {
			p.After, err = strconv.Atoi(h.Val())
		}
		return p, err
	})
	httpcaddyfile.RegisterHandlerDirective("consent_test_short", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(shortHandler), nil
	})
	httpcaddyfile.RegisterHandlerDirective("consent_test_hints", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(hintingHandler), nil
	})
}

// failingHandler begins a page and then fails.
type failingHandler struct{}

func (failingHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.consent_test_fail", New: func() caddy.Module { return new(failingHandler) }}
}

func (failingHandler) ServeHTTP(w http.ResponseWriter, _ *http.Request, _ caddyhttp.Handler) error {
	w.Header().Set("Content-Type", "text/html")
	if _, err := w.Write([]byte(tracked + strings.Repeat("<p>x</p>", 1000))); err != nil {
		return err
	}
	return caddyhttp.Error(http.StatusInternalServerError, errors.New("broken"))
}

// shortHandler sends less of a page than it announces, and returns as if all were
// well; as file_server does with a file that shrinks while it is read. The query
// says how much.
type shortHandler struct{}

func (shortHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.consent_test_short", New: func() caddy.Module { return new(shortHandler) }}
}

func (shortHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	page := tracked + strings.Repeat("<p>x</p>", 1000)
	n, err := strconv.Atoi(r.URL.RawQuery)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	_, err = io.WriteString(w, page[:min(n, len(page))])
	return err
}

// panickingWriter puts a writer around the response that panics in the middle, in
// the place of a fault in the rewriter.
type panickingWriter struct {
	After int `json:"after"` // bytes
}

func (panickingWriter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.consent_test_panic", New: func() caddy.Module { return new(panickingWriter) }}
}

func (p panickingWriter) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(&panicsLater{&caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, p.After}, r)
}

type panicsLater struct {
	*caddyhttp.ResponseWriterWrapper
	left int
}

func (p *panicsLater) Write(b []byte) (int, error) {
	if p.left -= len(b); p.left < 0 {
		panic("fault")
	}
	return p.ResponseWriterWrapper.Write(b)
}

// hintingHandler sets fields, sends an informational answer, and then the final one.
type hintingHandler struct{}

func (hintingHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.consent_test_hints", New: func() caddy.Module { return new(hintingHandler) }}
}

func (hintingHandler) ServeHTTP(w http.ResponseWriter, _ *http.Request, _ caddyhttp.Handler) error {
	h := w.Header()
	h.Set("X-Mine", "yes")
	h.Set("Set-Cookie", "session=1")
	h["set-cookie"] = []string{"_ga=1"}
	h.Set("Link", "<https://www.googletagmanager.com>; rel=preconnect")
	w.WriteHeader(http.StatusEarlyHints)
	w.WriteHeader(http.StatusOK)
	return nil
}

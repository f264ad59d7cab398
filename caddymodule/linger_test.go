package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(lingeringHandler{})
	httpcaddyfile.RegisterHandlerDirective("consent_test_linger", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(lingeringHandler), nil
	})
}

// lingering is where the lingering handler leaves what it started.
var lingering = make(chan chan bool, 1)

// lingeringHandler leaves something behind that reads Caddy's variables of the
// request, as the reverse proxy's transport does when it goes on connecting for a
// request that another connection has served.
type lingeringHandler struct{}

func (lingeringHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.consent_test_linger", New: func() caddy.Module { return new(lingeringHandler) }}
}

func (lingeringHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	ctx, done := r.Context(), make(chan bool)
	go func() {
		for range 1000 {
			_ = caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey)
		}
		close(done)
	}()
	lingering <- done
	w.Header().Set("Content-Type", "text/html")
	_, err := w.Write([]byte(tracked))
	return err
}

// The map of Caddy's variables is not written to after the handlers behind have
// run: Go ends the process that reads and writes a map at once. The race detector
// is the judge.
func TestContractVariablesAfterwards(t *testing.T) {
	g := start(t, "consent\nconsent_test_linger", "order consent_test_linger after consent")
	for range 50 {
		got := g.get("/")
		<-<-lingering
		if strings.Contains(got.body, live) {
			t.Fatalf("not rewritten: %q", got.body)
		}
	}
}

package caddymodule

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Caddy's table of a request's variables does not change once the handlers behind
// have returned: connections to the site that are still being made then read it,
// in goroutines of their own. The runtime ends the process when it sees that.
func TestVariablesStay(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	m, err := registerMetrics(ctx.GetMetricsRegistry())
	if err != nil {
		t.Fatal(err)
	}
	m.first("announce") // there is no server whose set-up could be looked at
	h := new(Handler)
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	vars := map[string]any{}
	var then map[string]any
	calls := 0
	recorder := httptest.NewRecorder()
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		calls++
		if calls == 1 {
			// Another consent handler, behind the first one, leaves all to it.
			if err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
				if outer, ok := w.(*responseWriter); !ok || outer.below.ResponseWriter != recorder {
					t.Error("not the first handler's writer")
				}
				return nil
			})); err != nil {
				t.Error(err)
			}
		}
		then = maps.Clone(vars)
		return nil
	})
	for range 2 { // the second time as for an error page
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, vars))
		if err := h.ServeHTTP(recorder, r, next); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(vars, then) {
			t.Errorf("%v has become %v", then, vars)
		}
	}
	if calls != 2 {
		t.Errorf("%d calls", calls)
	}
}

package caddymodule

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/zap"
)

// E1, E10: the limits on what a page decodes to are the operator's.
func TestLimitOptions(t *testing.T) {
	// 50 times smaller, which is no bomb.
	text := []byte(tracked + strings.Repeat(strings.Repeat(randomText(40), 50)+"\n", 1500))
	var wide bytes.Buffer
	enc, err := zstd.NewWriter(&wide, zstd.WithWindowSize(4<<20), zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enc.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		coding, option string
		body           []byte
		whole          bool
	}{
		"ratio":        {"gzip", "max_ratio 10", encoded(t, "gzip", text), false},
		"ratio before": {"gzip", "max_ratio 10000", encoded(t, "gzip", text), true},
		"window":       {"zstd", "max_window 1MiB", wide.Bytes(), false},
		"wider window": {"zstd", "max_window 4MiB\nmax_ratio 10000", wide.Bytes(), true},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, proxy(answering(t, page(string(tc.body), "Content-Encoding: "+tc.coding)), tc.option))
			n, leaked, _, err := drain("http://"+g.addr+"/", live)
			if leaked {
				t.Error("leaked")
			}
			if tc.whole != (err == nil && n > int64(len(text))) {
				t.Errorf("%d bytes of %d, %v", n, len(text), err)
			}
			refused, broken := g.bypassed("too_large", remedyRefused), g.bypassed("too_large", remedyBrokenOff)
			if tc.whole != (refused+broken == 0) {
				t.Errorf("%v refused, %v broken off", refused, broken)
			}
		})
	}
}

// F2, E10: so is the number of cookies.
func TestLimitCookies(t *testing.T) {
	g := start(t, proxy(raw(t, echoRequest), "max_cookies 10"))
	for n, arrives := range map[int]bool{10: true, 11: false} {
		var pairs []string
		for i := range n {
			pairs = append(pairs, fmt.Sprintf("session%d=1", i))
		}
		got := g.get("/", "Cookie", strings.Join(pairs, "; "))
		if strings.Contains(got.body, "session0=1") != arrives || strings.Contains(got.body, "Cookie:") != arrives {
			t.Errorf("%d cookies: %q", n, got.body)
		}
	}
	if n := g.value(`caddy_consent_cookies_total{action="block",category="too_many",direction="request"}`); n != 1 {
		t.Errorf("counted %v times", n)
	}
}

// E9: a fault of our own before anything has left becomes an error page, one
// after that breaks the page off; in both nothing of the page follows.
func TestLimitE9Panic(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	m, err := registerMetrics(ctx.GetMetricsRegistry())
	if err != nil {
		t.Fatal(err)
	}
	m.first("announce")
	h := new(Handler)
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	h.logger = zap.NewNop()
	for _, mode := range []string{policyStrict, policyGuarded, policyObserve} {
		h.FailurePolicy = mode
		for _, size := range []int{10, headSize + 10} {
			rec := httptest.NewRecorder()
			w := newResponseWriter(h, rec)
			r := httptest.NewRequest(http.MethodGet, "http://site.test/", nil)
			h.visit(r, r.URL, &w.v)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(http.StatusOK)
			if _, err := w.Write([]byte(strings.Repeat("x", size))); err != nil {
				t.Fatal(err)
			}
			begun := rec.Body.Len()
			w.guard(func() error { panic("fault") })
			if _, err := w.Write([]byte(tracked)); err != nil && size < headSize {
				t.Error(err)
			}
			broken := false
			func() {
				defer func() { broken = recover() != nil }()
				_ = w.end(nil)
			}()
			switch {
			case size < headSize && (rec.Code != 502 || rec.Body.String() != refusal || broken):
				t.Errorf("%s, before: %d %q, broken off %v", mode, rec.Code, rec.Body, broken)
			case size > headSize && (rec.Body.Len() != begun || !broken):
				t.Errorf("%s, after: %d bytes after %d, broken off %v", mode, rec.Body.Len(), begun, broken)
			}
		}
	}
	if inHand.Load() != 0 {
		t.Errorf("%d bytes are still set aside", inHand.Load())
	}
}

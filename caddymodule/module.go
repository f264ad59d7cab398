// Package caddymodule puts Consentgate into Caddy: the handler
// http.handlers.consent and its Caddyfile directive, the response writer that
// sits between the site and the visitor, and the metrics.
//
// The handler translates only. What a visitor chose is package consent, what may
// run is package policy, how a response changes is package rewriter.
package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/consent/api"
	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Defaults and limits of the options of [Handler].
const (
	DefaultPrefix     = "/_cg/"
	DefaultMaxHold    = 64 << 10
	DefaultMaxInline  = 64 << 10
	DefaultMaxDecoded = 64 << 20

	smallestHold    = 1 << 10
	largestHold     = 16 << 20
	smallestDecoded = 1 << 20
	largestDecoded  = 4 << 30
)

// What the handler does with a page it cannot read.
const (
	onUnreadableBlock = "block"
	onUnreadablePass  = "pass"
)

// Handler holds back the third-party resources of the pages behind it, and the
// cookies that are not essential, until the visitor has granted them.
//
// It acts on every response that passes through it: cookies and headers that
// make browsers load something are filtered whatever the status and type, HTML
// pages are rewritten while they stream. When everything is granted a page
// passes unchanged.
//
// Put it inside (after) `encode`, and also into `handle_errors`: error pages do
// not pass through the handlers of the failed request. Of several consent
// handlers a request passes through, the outermost acts.
type Handler struct {
	// The policy file (YAML or JSON): categories, vendors, cookies, the version.
	// A relative path is relative to the working directory of the Caddy process;
	// placeholders such as `{env.CONSENT_POLICY}` are replaced. It is read when
	// the configuration is loaded; reload Caddy with `--force` after changing
	// only this file. If it has a fault, loading fails with its file, line and
	// column, and the running configuration stays. Default: the built-in policy
	// with the categories necessary, functional, analytics and marketing, and
	// the embedded vendor catalog.
	Policy string `json:"policy,omitempty"`

	// The path under which the gateway answers itself: `<prefix>preferences` is
	// the form where visitors choose. Requests below it never reach the site.
	// Begins and ends with "/". Default: `/_cg/`.
	Prefix string `json:"prefix,omitempty"`

	// What happens to a page that cannot be read and therefore not be rewritten
	// before everything is granted: one with an unknown or broken
	// `Content-Encoding`, in a character set that hides markup from an ASCII
	// reader (UTF-16, ISO-2022-JP), or a slice of a page (status 206).
	//
	// `block` answers 502, or breaks the connection if the page has begun.
	// `pass` sends it as it is, under an enforcing Content-Security-Policy that
	// lets the browser load from the site's own origin only. Code inside the
	// page then runs, and `<meta http-equiv=refresh>` works.
	//
	// A page that decodes to more than `max_decoded`, or like a decompression
	// bomb, is broken off in both cases. Default: `block`.
	OnUnreadable string `json:"on_unreadable,omitempty"`

	// The most bytes of one open tag to keep in memory. A longer element that
	// would have to be judged is made inert. 1 KiB to 16 MiB; default: 64 KiB.
	MaxHold int `json:"max_hold,omitempty"`

	// How many bytes of an inline script to look at before deciding on it.
	// 1 KiB to 16 MiB; default: 64 KiB.
	MaxInline int `json:"max_inline,omitempty"`

	// The most bytes a compressed page may decode to. 1 MiB to 4 GiB;
	// default: 64 MiB.
	MaxDecoded int64 `json:"max_decoded,omitempty"`

	// The base name of the cookie that stores the choice. On HTTPS it is sent as
	// `__Host-<name>`. Changing it asks every visitor again. Default: `cg`.
	CookieName string `json:"cookie_name,omitempty"`

	// Whether to respect `Cache-Control: no-transform` of the site. If so, such
	// a page is not rewritten but sent under the Content-Security-Policy of
	// `on_unreadable pass`. By default pages are rewritten all the same.
	HonorNoTransform bool `json:"honor_no_transform,omitempty"`

	policy    *policy.Policy
	resolver  *consent.Resolver
	api       http.Handler
	own       []string // names of our cookie, on HTTPS and on HTTP
	vary      []string // request fields the state is read from
	rewriters *sync.Pool
	metrics   *metrics
	logger    *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.consent",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision reads the policy and sets the handler up.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	h.setDefaults()
	if err := h.check(); err != nil {
		return err
	}
	if err := h.loadPolicy(); err != nil {
		return err
	}
	h.resolver = &consent.Resolver{Scheme: h.policy.Scheme(), CookieName: h.CookieName}
	if err := h.resolver.Validate(); err != nil {
		return err
	}
	h.own = []string{h.resolver.Name(true), h.resolver.Name(false)}
	h.vary = varyFields(h.policy.Scheme())
	h.rewriters = &sync.Pool{New: func() any {
		return rewriter.New(rewriter.Options{MaxHold: h.MaxHold, MaxInline: h.MaxInline})
	}}

	var err error
	if h.metrics, err = registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	h.metrics.policyInfo.WithLabelValues(h.policy.Version(), h.policy.Hash()).Set(1)

	h.api, err = api.New(api.Options{
		Resolver: h.resolver,
		Prefix:   h.Prefix,
		External: external,
		Expire:   h.expires,
		OnChoice: h.countChoice,
	})
	if err != nil {
		return fmt.Errorf("setting up the preferences page: %w", err)
	}
	h.warnAround(ctx)
	return h.announce(ctx)
}

// setDefaults puts the documented default in place of every zero option.
func (h *Handler) setDefaults() {
	if h.Prefix == "" {
		h.Prefix = DefaultPrefix
	}
	if h.OnUnreadable == "" {
		h.OnUnreadable = onUnreadableBlock
	}
	if h.MaxHold == 0 {
		h.MaxHold = DefaultMaxHold
	}
	if h.MaxInline == 0 {
		h.MaxInline = DefaultMaxInline
	}
	if h.MaxDecoded == 0 {
		h.MaxDecoded = DefaultMaxDecoded
	}
}

// check refuses options that cannot work, each with the value and the fix. The
// JSON configuration reaches it without the Caddyfile's own checks.
func (h *Handler) check() error {
	if err := checkPrefix(h.Prefix); err != nil {
		return err
	}
	if h.OnUnreadable != onUnreadableBlock && h.OnUnreadable != onUnreadablePass {
		return fmt.Errorf("on_unreadable %q: use block or pass", h.OnUnreadable)
	}
	for _, size := range []struct {
		word           string
		value          int64
		smallest, most int64
	}{
		{"max_hold", int64(h.MaxHold), smallestHold, largestHold},
		{"max_inline", int64(h.MaxInline), smallestHold, largestHold},
		{"max_decoded", h.MaxDecoded, smallestDecoded, largestDecoded},
	} {
		if err := checkSize(size.word, size.value, size.smallest, size.most); err != nil {
			return err
		}
	}
	return nil
}

func checkSize(word string, value, smallest, most int64) error {
	if value < smallest || value > most {
		return fmt.Errorf("%s %d bytes: use a size from %s to %s", word, value, binarySize(smallest), binarySize(most))
	}
	return nil
}

// binarySize spells a multiple of 1 KiB as people write it.
func binarySize(n int64) string {
	for _, u := range []struct {
		shift uint
		name  string
	}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if n >= 1<<u.shift && n%(1<<u.shift) == 0 {
			return fmt.Sprintf("%d%s", n>>u.shift, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}

// checkPrefix refuses prefixes that would cover the whole site, or that browsers
// and routers spell in more than one way.
func checkPrefix(p string) error {
	if len(p) < 3 || p[0] != '/' || p[len(p)-1] != '/' || strings.Contains(p, "//") {
		return fmt.Errorf("prefix %q: write a path that begins and ends with \"/\", such as %s", p, DefaultPrefix)
	}
	for _, segment := range strings.Split(p[1:len(p)-1], "/") {
		if segment == "." || segment == ".." {
			return fmt.Errorf("prefix %q: leave out the %q segment", p, segment)
		}
	}
	for _, b := range []byte(p) {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case b == '/', b == '-', b == '_', b == '.', b == '~':
		default:
			return fmt.Errorf("prefix %q: use only letters, digits, \"-\", \"_\", \".\", \"~\" and \"/\"", p)
		}
	}
	return nil
}

// loadPolicy reads the policy file, or takes the built-in policy.
func (h *Handler) loadPolicy() error {
	if h.Policy == "" {
		h.policy = policy.Default()
		return nil
	}
	path, err := caddy.NewReplacer().ReplaceOrErr(h.Policy, true, true)
	if err != nil {
		return fmt.Errorf("policy %s: %w", h.Policy, err)
	}
	h.policy, err = policy.Load(path)
	if err != nil {
		return err
	}
	return nil
}

// varyFields returns the request fields a visitor's state depends on.
func varyFields(sc *consent.Scheme) []string {
	fields := []string{"Cookie"}
	var signals consent.Signals
	for i := range sc.Categories {
		signals |= sc.Categories[i].DeniedBy
	}
	if signals&consent.GPC != 0 {
		fields = append(fields, "Sec-GPC")
	}
	if signals&consent.DNT != 0 {
		fields = append(fields, "DNT")
	}
	return fields
}

// expires tells whether a request cookie has to go under the new state s.
func (h *Handler) expires(cookie string, s consent.State) bool {
	return h.policy.Bind(s, "").RequestCookie(cookie).Action == policy.Block
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)

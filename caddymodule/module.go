// Package caddymodule puts Consentgate into Caddy: the handler
// http.handlers.consent and its Caddyfile directive, the response writer that
// sits between the site and the visitor, and the metrics.
//
// The handler translates only. What a visitor chose is package consent, what may
// run is package policy, how a response changes is package rewriter.
package caddymodule

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
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

	// How pages may be cached. `private`: a page is what its visitor's consent
	// makes it, and no shared cache may keep it. `shared`: for a CDN or another
	// shared cache in front of the gateway that does not tell visitors apart.
	// Everybody then gets the page of a visitor who has not chosen, byte for
	// byte, under the site's own caching rules. Default: `private`.
	Cache string `json:"cache,omitempty"`

	// What happens to a page that cannot be rewritten while something is held
	// back from its visitor: one with an unknown or broken `Content-Encoding`, an
	// XML document, a slice of a page (status 206), or any page while
	// `max_memory` is in use.
	//
	// `strict` answers 502 (503 if it is about memory). `guarded` sends it as it
	// is, under an enforcing Content-Security-Policy that lets the browser load
	// from the site's own origin only. Code inside the page then runs, and
	// `<meta http-equiv=refresh>` works. `observe` sends it as it is, with that
	// policy for report only: it holds nothing back. It is meant for trying the
	// gateway out.
	//
	// A page that has begun is broken off in all three, and so is one that
	// breaks `max_decoded`, `max_ratio` or `max_window`. Default: `guarded`.
	FailurePolicy string `json:"failure_policy,omitempty"`

	// The most bytes of one open tag to keep in memory. A longer element that
	// would have to be judged is made inert. 1 KiB to 16 MiB; default: 64 KiB.
	MaxHold int `json:"max_hold,omitempty"`

	// How many bytes of an inline script to look at before deciding on it.
	// 1 KiB to 16 MiB; default: 64 KiB.
	MaxInline int `json:"max_inline,omitempty"`

	// The memory, in bytes, that all pages being rewritten in this process may
	// hold together. Pages that begin while it is in use meet `failure_policy`;
	// pages that have begun go on. 1 MiB to 1 TiB; default: 512 MiB.
	MaxMemory int64 `json:"max_memory,omitempty"`

	// The most bytes a compressed page may decode to. 1 MiB to 4 GiB;
	// default: 64 MiB.
	MaxDecoded int64 `json:"max_decoded,omitempty"`

	// How many times its compressed size a page may decode to, looked at after
	// its first MiB. 10 to 10000; default: 200.
	MaxRatio int `json:"max_ratio,omitempty"`

	// The largest window, in bytes, a page in zstd may ask for. 1 MiB to 128 MiB;
	// default: 8 MiB, which is all that RFC 9659 allows.
	MaxWindow int `json:"max_window,omitempty"`

	// How many cookies of one request are looked at. A request with more loses
	// them all on its way to the site. 10 to 3000; default: 3000.
	MaxCookies int `json:"max_cookies,omitempty"`

	// The base name of the cookie that stores the choice. On HTTPS it is sent as
	// `__Host-<name>`. Changing it asks every visitor again. Default: `cg`.
	CookieName string `json:"cookie_name,omitempty"`

	// Whether to respect `Cache-Control: no-transform` of the site. If so, such
	// a page is not rewritten but sent under the Content-Security-Policy of
	// `failure_policy guarded`. By default pages are rewritten all the same.
	HonorNoTransform bool `json:"honor_no_transform,omitempty"`

	policy    *policy.Policy
	resolver  *consent.Resolver
	api       http.Handler
	own       []string // names of our cookie, on HTTPS and on HTTP
	vary      []string // request fields the state is read from
	rewriters *sync.Pool
	settings  string // part of every variant: see variant
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
	h.settings = h.settingsID()
	h.rewriters = &sync.Pool{New: func() any {
		return rewriter.New(rewriter.Options{MaxHold: h.MaxHold, MaxInline: h.MaxInline})
	}}

	var err error
	if h.metrics, err = registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	for _, category := range h.policy.Scheme().Categories {
		h.metrics.know(category.ID, policy.Allow, policy.Block)
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
	// A reload that changes no more than this file is easily missed.
	h.logger.Info("policy loaded", zap.String("file", h.Policy),
		zap.String("version", h.policy.Version()), zap.String("hash", h.policy.Hash()))
	if h.FailurePolicy == policyObserve {
		h.logger.Warn("failure_policy observe: pages that cannot be rewritten reach visitors with nothing held back",
			zap.String("fix", "use guarded once the counter caddy_consent_bypasses_total tells that it can be"))
	}
	h.warnAround(ctx)
	return h.announce(ctx)
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

// settingsID returns a short digest of what, besides the policy, decides what
// becomes of a page. A page from before a change of it is not revalidated: under
// "failure_policy observe" it may have left with nothing held.
func (h *Handler) settingsID() string {
	id := fnv.New32a()
	_, _ = fmt.Fprint(id, h.FailurePolicy, h.HonorNoTransform, h.MaxHold, h.MaxInline) // a hash never fails
	return "r" + rewriter.Revision + "s" + strconv.FormatUint(uint64(id.Sum32()), 36)
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

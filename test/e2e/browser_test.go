package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

const (
	// quiet is how long neither the browser nor the sink may stir before a
	// page counts as loaded; patience is the upper bound of a visit.
	quiet    = 350 * time.Millisecond
	patience = 15 * time.Second

	// ownBusiness is where the browser's own account service is sent; the sink
	// leaves it out of the books.
	ownBusiness = "browser.invalid"
)

// A browser is one Chromium process. Every host of the sites map goes to the
// address given there, every other host to the sink.
type browser struct {
	ctx  context.Context
	sink *sink
}

// findChromium returns the browser's path. Where there is none the test is
// skipped, unless CI says that nothing may be missing.
func findChromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, "chromium is not installed (apt-get install chromium)")
	return ""
}

// missing skips the test for want of a program, or fails it where CI=true.
func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func startBrowser(t testing.TB, s *sink, sites map[string]string) *browser {
	t.Helper()
	var rules []string
	for host, addr := range sites {
		rules = append(rules, "MAP "+host+" "+addr)
	}
	slices.Sort(rules)
	rules = append(rules, ownRules()...)
	rules = append(rules, "MAP * "+s.addr) // the first rule that fits wins
	return launch(t, s, rules, nil)
}

// ownRules keep the browser's own business, which is no page's, from the network
// and from the name server.
func ownRules() (rules []string) {
	for _, host := range []string{"update.googleapis.com", "clients2.google.com", "optimizationguide-pa.googleapis.com", "safebrowsing.googleapis.com", "content-autofill.googleapis.com"} {
		rules = append(rules, "MAP "+host+" ~NOTFOUND")
	}
	return rules
}

// launch starts a browser that finds hosts by the given resolver rules and, if
// none fits, by asking the name server at dns (DNS over HTTPS).
func launch(t testing.TB, s *sink, rules []string, dns net.Addr) *browser {
	t.Helper()
	path := findChromium(t)
	profile := t.TempDir()
	// The tests want third-party cookies set, to see them absent.
	preferences := filepath.Join(profile, "Default", "Preferences")
	if err := os.MkdirAll(filepath.Dir(preferences), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(preferences, []byte(`{"profile":{"cookie_controls_mode":0,"block_third_party_cookies":false}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if dns != nil {
		local := fmt.Sprintf(`{"dns_over_https":{"mode":"secure","templates":"https://%s/dns-query"}}`, dns)
		if err := os.WriteFile(filepath.Join(profile, "Local State"), []byte(local), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(profile),
		chromedp.NoSandbox, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.IgnoreCertErrors,
		chromedp.Flag("headless", "new"), chromedp.WindowSize(1280, 1000),
		chromedp.Flag("gaia-url", "https://"+ownBusiness),
		chromedp.Flag("host-resolver-rules", strings.Join(rules, ", ")),
		// Lazy pictures load at once: which of them come near the window before a
		// visit ends is a matter of the machine's speed, not of the gateway.
		chromedp.Flag("blink-settings", "lazyLoadEnabled=false"),
		// Plain HTTP stays plain, frames stay in the page's process (their
		// requests are then in its event stream), a page that was left is gone,
		// and the browser connects to nothing because an earlier page did.
		chromedp.Flag("disable-features", "BackForwardCache,LoadingPredictorUseLocalPredictions,HttpsUpgrades,HttpsFirstBalancedMode,HttpsFirstBalancedModeAutoEnable,HttpsFirstModeIncognito,LocalNetworkAccessChecks,SitePerProcess,IsolateOrigins,Translate,OptimizationHints,MediaRouter,AutofillServerCommunication"),
	}
	for _, flag := range []string{
		"disable-gpu", "disable-background-networking", "disable-quic", "disable-component-update", "disable-sync",
		"disable-default-apps", "disable-extensions", "disable-breakpad", "disable-domain-reliability",
		"disable-client-side-phishing-detection", "disable-site-isolation-trials", "disable-dev-shm-usage",
		"disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding",
		"metrics-recording-only", "no-pings", "mute-audio", "hide-scrollbars", "disable-popup-blocking",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}), chromedp.WithLogf(func(string, ...any) {}))
	t.Cleanup(func() { stop(); stopAllocator() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return &browser{ctx: ctx, sink: s}
}

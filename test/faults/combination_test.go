package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consentgate/consentgate/test/gate"
)

// A combination is one request of the test below.
type combination struct {
	toxic  toxic
	client bool // the toxic stands between client and gateway
	sent   sent
	proto  gate.Proto
	open   bool // the visitor granted everything
}

func (c combination) String() string {
	side, state := "upstream", "undecided"
	if c.client {
		side = "client"
	}
	if c.open {
		state = "granted"
	}
	return fmt.Sprintf("%s/%s/%s/%s/%d/%s/%s", side, c.toxic.name, c.sent.coding, c.sent.framing, c.sent.size, c.proto, state)
}

// combinations returns all there are. The sizes take turns, since each would
// triple the number.
func combinations() (all []combination) {
	add := func(x toxic, client bool, protos ...gate.Proto) {
		for i, coding := range codings {
			for j, framing := range framings {
				s := sent{coded{sizes[(i+j)%len(sizes)], coding}, framing, x.level}
				if x.level {
					s.size = sizes[0]
				}
				for _, p := range protos {
					all = append(all, combination{x, client, s, p, false}, combination{x, client, s, p, true})
				}
			}
		}
	}
	for _, x := range upstreamToxics {
		add(x, false, gate.Plain, gate.H2, gate.H3)
	}
	for _, x := range clientToxics {
		add(x, true, gate.Plain, gate.H2) // the library knows no UDP
	}
	return all
}

// An end is how a combination ended, as its client sees it.
type end string

const (
	endWhole     end = "whole"         // the page, complete and right
	endCut       end = "cut"           // reading failed in the middle of the page
	endInvisible end = "cut invisibly" // a page of which the site's end was lost with its connection
	endShielded  end = "shielded"      // sent unread, and the browser told to load nothing from elsewhere
	endRefused   end = "refused"       // Caddy or the gateway answered in place of the site
	endNothing   end = "no answer"
)

// A bench is where combinations run.
type bench struct {
	g       *gate.Gate
	clients map[gate.Proto]*http.Client
	via     map[string]string // toxic and protocol -> address in front of the gateway
	cookies map[gate.Proto]string

	expected sync.Map // what -> []byte
}

type what struct {
	size  int
	proto gate.Proto
}

// Whatever happens to the connections on either side: what arrives of a page
// loads nothing that is held back, and does not look complete unless it is.
func TestCombinations(t *testing.T) {
	all := combinations()
	if len(all) < 500 {
		t.Fatalf("only %d combinations", len(all))
	}
	b := newBench(t, all)
	for _, c := range all {
		if !c.open {
			b.learn(t, c)
		}
	}
	b.close()
	before := measure()

	b.connect(t)
	ends := make(map[string]map[end]int)
	var mu sync.Mutex
	each(16, all, func(c combination) {
		e, err := b.run(t, c)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Errorf("%s: %v", c, err)
		}
		side, _, _ := strings.Cut(c.String(), "/")
		if ends[side+" "+c.toxic.name] == nil {
			ends[side+" "+c.toxic.name] = make(map[end]int)
		}
		ends[side+" "+c.toxic.name][e]++
		ends[side] = nil
	})
	total := make(map[end]int)
	for name, counts := range ends {
		for e, n := range counts {
			total[e] += n
		}
		if counts != nil {
			t.Logf("%-22s %v", name, counts)
		}
	}
	t.Logf("%d combinations: %v", len(all), total)
	for _, e := range []end{endWhole, endCut, endInvisible, endShielded, endRefused, endNothing} {
		if total[e] == 0 {
			t.Errorf("no combination ended so: %s", e)
		}
	}
	b.close()
	before.back(t, 24<<20) // most of it in the waiting goroutines of toxiproxy
}

// newBench starts the site, the proxies and the gateway: one site of it for each
// toxic behind it.
func newBench(t *testing.T, all []combination) *bench {
	var table []sent
	for _, c := range all {
		table = append(table, c.sent, c.sent.plain())
	}
	origin := pages(t, table)
	toxics := newProxies(t)
	sites := make(map[string]string)
	for _, x := range upstreamToxics {
		sites[x.name] = "consent\n" + proxied(toxics.start(x, origin), "header_down -X-Pad")
	}
	b := &bench{
		g:       gate.Start(t, gate.Config{Sites: sites}),
		clients: make(map[gate.Proto]*http.Client),
		via:     make(map[string]string),
		cookies: make(map[gate.Proto]string),
	}
	for _, p := range []gate.Proto{gate.Plain, gate.H2, gate.H3} {
		b.cookies[p] = gate.Granted(p)
		for _, x := range clientToxics {
			if p != gate.H3 {
				b.via[x.name+string(p)] = toxics.start(x, b.g.Addr(p, "none"))
			}
		}
	}
	b.connect(t)
	return b
}

// connect makes new clients.
func (b *bench) connect(t *testing.T) {
	for p := range b.cookies {
		b.clients[p] = client(t, b.g, p)
	}
}

// close closes the clients' connections.
func (b *bench) close() {
	for _, c := range b.clients {
		disconnect(c)
	}
}

// learn asks for the page of a combination without any fault, once for each size
// and protocol.
func (b *bench) learn(t *testing.T, c combination) {
	key := what{c.sent.size, c.proto}
	if _, ok := b.expected.Load(key); ok {
		return
	}
	c.sent = c.sent.plain()
	got := gate.Ask(t, b.clients[c.proto], http.MethodGet, b.g.URL(c.proto, "none", c.sent.path()))
	page := []byte(got.Body)
	if got.Err != nil || got.StatusCode != http.StatusOK || len(page) < c.sent.size {
		t.Fatalf("%s: %s, %d bytes, %v", c, got.Status, len(page), got.Err)
	}
	if found := liveReferences(page); found != nil {
		t.Fatalf("%s: live even without faults: %q", c, found)
	}
	b.expected.Store(key, page)
}

// An arrival is what came of an answer.
type arrival struct {
	status int
	coding string
	csp    []string
	body   []byte
	err    error // of reading the body
}

func (b *bench) run(t *testing.T, c combination) (end, error) {
	got, err := b.ask(t, c)
	if err != nil {
		if !c.toxic.cuts {
			return endNothing, err
		}
		return endNothing, nil
	}
	if !c.open && c.brokenCoding() && slices.ContainsFunc(got.csp, shields) {
		if origin := encoded(c.sent.coded); !bytes.HasPrefix(origin, got.body) {
			return endShielded, fmt.Errorf("%s of the site's page", differ(got.body, origin))
		}
		return endShielded, nil
	}
	page, decodeErr := decode(got.coding, got.body)
	expected, _ := b.expected.Load(what{c.sent.size, c.proto})
	if !c.open && !bytes.Equal(page, expected.([]byte)) || got.status != http.StatusOK {
		if found := liveReferences(page); found != nil {
			return "", fmt.Errorf("status %d, live: %q", got.status, found)
		}
	}
	if got.status != http.StatusOK {
		if !c.toxic.cuts || c.client || got.status < 500 {
			return endRefused, fmt.Errorf("status %d", got.status)
		}
		return endRefused, nil
	}
	if c.open {
		return c.judgeOpen(got)
	}
	return c.judgeHeld(got.err, page, decodeErr, expected.([]byte))
}

// ask sends the request of a combination.
func (b *bench) ask(t *testing.T, c combination) (arrival, error) {
	client, site := b.clients[c.proto], c.toxic.name
	if c.client {
		client, site = b.g.ClientVia(t, c.proto, b.via[c.toxic.name+string(c.proto)]), "none"
		defer client.CloseIdleConnections()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.g.URL(c.proto, site, c.sent.path()), nil)
	if err != nil {
		return arrival{}, err
	}
	req.Header.Set("Accept-Encoding", c.sent.coding)
	if c.open {
		req.Header.Set("Cookie", b.cookies[c.proto])
	}
	resp, err := client.Do(req)
	if err != nil {
		return arrival{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if errors.Is(err, context.DeadlineExceeded) {
		return arrival{}, fmt.Errorf("stuck after %d bytes: %w", len(body), err)
	}
	return arrival{resp.StatusCode, resp.Header.Get("Content-Encoding"), resp.Header["Content-Security-Policy"], body, err}, nil
}

// judgeHeld judges what arrived of a page in which everything is held back.
func (c combination) judgeHeld(readErr error, page []byte, decodeErr error, expected []byte) (end, error) {
	switch {
	case readErr != nil && !c.toxic.cuts:
		return endCut, readErr
	case readErr != nil:
		if !bytes.HasPrefix(expected, page) {
			return endCut, fmt.Errorf("%s of the rewritten page", differ(page, expected))
		}
		return endCut, nil
	case decodeErr != nil:
		return endInvisible, fmt.Errorf("a broken page arrived as a complete one: %w", decodeErr)
	case bytes.Equal(page, expected):
		return endWhole, nil
	case !c.cutUnseen():
		return endInvisible, fmt.Errorf("%d of %d bytes arrived as a complete page", len(page), len(expected))
	}
	// The rewriter took the loss for the end of the page, and let out what it held
	// of a last tag or script.
	if at := bytes.LastIndexByte(page, '<'); !bytes.HasPrefix(expected, page[:max(at, 0)]) {
		return endInvisible, fmt.Errorf("%s of the rewritten page", differ(page, expected))
	}
	return endInvisible, nil
}

// judgeOpen judges what arrived of a page that is sent as it is.
func (c combination) judgeOpen(got arrival) (end, error) {
	origin := encoded(c.sent.coded)
	if want := c.sent.coding; got.coding != want && (got.coding != "" || want != "identity") {
		return "", fmt.Errorf("coding %q", got.coding)
	}
	if !bytes.HasPrefix(origin, got.body) {
		return "", fmt.Errorf("%s of the site's page", differ(got.body, origin))
	}
	if cut := got.err != nil; cut {
		if c.toxic.cuts {
			got.err = nil
		}
		return endCut, got.err
	}
	switch {
	case len(got.body) == len(origin):
		return endWhole, nil
	case !c.cutUnseen():
		return endInvisible, fmt.Errorf("%d of %d bytes arrived as a complete page", len(got.body), len(origin))
	}
	return endInvisible, nil
}

// cutUnseen reports whether the gateway cannot know that the site's page was cut.
func (c combination) cutUnseen() bool {
	return c.toxic.cuts && !c.client && c.sent.framing == "close"
}

// brokenCoding reports whether the gateway may not have been able to decode the
// little there was of the page. It passes such pages on under a policy that the
// browser enforces.
func (c combination) brokenCoding() bool { return c.cutUnseen() && c.sent.coding != "identity" }

// shields reports whether a line of Content-Security-Policy holds back whatever
// the page refers to.
func shields(policy string) bool { return strings.HasPrefix(policy, "default-src 'self'") }

// differ says where got is no beginning of want.
func differ(got, want []byte) string {
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	return fmt.Sprintf("%d bytes that are no beginning from byte %d (%.60q)", len(got), at, got[at:])
}

// each calls f for all items, some at a time.
func each[T any](parallel int, items []T, f func(T)) {
	queue := make(chan T)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for item := range queue {
				f(item)
			}
		})
	}
	for _, item := range items {
		queue <- item
	}
	close(queue)
	workers.Wait()
}

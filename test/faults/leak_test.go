package faults

import (
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	"github.com/consentgate/consentgate/test/gate"
)

// A base is what runs and how much memory is in use before something.
type base struct {
	heap  uint64
	known goleak.Option
}

// measure takes the base, once it is still.
func measure() base {
	steady()
	return base{known: goleak.IgnoreCurrent(), heap: heap()}
}

// steady waits until no goroutine ends any more, as those of closed connections
// do, and returns how many are left.
func steady() (n int) {
	for same := 0; same < 10; time.Sleep(20 * time.Millisecond) {
		if now := runtime.NumGoroutine(); now == n {
			same++
		} else {
			n, same = now, 0
		}
	}
	return n
}

// back waits until everything has been given back since. The heap may have grown
// by slack: what libraries keep to use it again.
func (b base) back(t testing.TB, slack uint64) {
	t.Helper()
	var err error
	var now uint64
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err = goleak.Find(b.known, goleak.IgnoreAnyFunction(toxicRead), goleak.IgnoreAnyFunction(toxicNoop))
		if err == nil {
			if now = heap(); now < b.heap+slack {
				t.Logf("heap: %d KiB before, %d KiB after", b.heap>>10, now>>10)
				return
			}
		}
		if time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Error(err)
	} else {
		t.Errorf("heap: %d KiB before, %d KiB after", b.heap>>10, now>>10)
	}
}

// A proxy of toxiproxy that was told to cut a connection stops reading from the
// goroutines that bring it more; they wait for ever. These are not ours.
const (
	toxicRead = "github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"
	toxicNoop = "github.com/Shopify/toxiproxy/v2/toxics.(*NoopToxic).Pipe"
)

// client is the gate's client for one protocol. Over QUIC, the library forgets a
// connection on which a request got no answer, without closing it; both ends then
// wait until it has been idle for as long as they agreed on.
func client(t testing.TB, g *gate.Gate, p gate.Proto) *http.Client {
	c := g.Client(t, p)
	if tr, ok := c.Transport.(*http3.Transport); ok {
		tr.QUICConfig = &quic.Config{MaxIdleTimeout: 10 * time.Second}
	}
	return c
}

// disconnect closes the connections of a client that is not used any more.
func disconnect(c *http.Client) {
	if tr, ok := c.Transport.(*http3.Transport); ok {
		_ = tr.Close()
		return
	}
	c.CloseIdleConnections()
}

func heap() uint64 {
	var m runtime.MemStats
	for range 2 { // the second one empties pools
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

package e2e

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// A sent is one request as the browser announced it.
type sent struct {
	URL    *url.URL
	Type   network.ResourceType
	Parser bool   // the markup asked for it: parser or preload scanner
	In     string // address of the document it is for: the page or a frame
}

// A tape keeps the events of one tab.
type tape struct {
	mu     sync.Mutex
	loaded bool
	opened int // pages, since the visitor came
	open   map[network.RequestID]cdp.LoaderID
	last   time.Time
	sent   []sent
	errors []string
}

func newTape() *tape {
	tp := &tape{}
	tp.reset()
	return tp
}

func (tp *tape) reset() {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.loaded, tp.open, tp.last = false, make(map[network.RequestID]cdp.LoaderID), time.Now()
	tp.sent, tp.errors = nil, nil
}

func (tp *tape) assumeLoaded() {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.loaded = true
}

// pages returns how many pages were opened so far.
func (tp *tape) pages() int {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.opened
}

func (tp *tape) quietFor() time.Duration {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	if !tp.loaded || len(tp.open) > 0 {
		return 0
	}
	return time.Since(tp.last)
}

func (tp *tape) take() ([]sent, []string) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return slices.Clone(tp.sent), slices.Clone(tp.errors)
}

// record runs on the goroutine that reads the browser's messages.
func (tp *tape) record(event any) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	switch ev := event.(type) {
	case *network.EventRequestWillBeSent:
		tp.last = time.Now()
		if u, err := url.Parse(ev.Request.URL); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
			tp.open[ev.RequestID] = ev.LoaderID
			tp.sent = append(tp.sent, sent{URL: u, Type: ev.Type, Parser: ev.Initiator.Type == network.InitiatorTypeParser || ev.Initiator.Type == network.InitiatorTypePreload, In: ev.DocumentURL})
		}
	case *network.EventResponseReceived:
		// The body of a fetch nobody reads may never be reported as finished.
		tp.last = time.Now()
		delete(tp.open, ev.RequestID)
	case *network.EventDataReceived:
		tp.last = time.Now()
	case *network.EventLoadingFinished:
		tp.last = time.Now()
		delete(tp.open, ev.RequestID)
	case *network.EventLoadingFailed:
		tp.last = time.Now()
		delete(tp.open, ev.RequestID)
	case *page.EventFrameNavigated:
		if tp.last = time.Now(); ev.Frame.ParentID == "" {
			// A new page. How the old one's requests end is not told.
			tp.loaded = false
			tp.opened++
			maps.DeleteFunc(tp.open, func(_ network.RequestID, of cdp.LoaderID) bool { return of != ev.Frame.LoaderID })
		}
	case *page.EventLoadEventFired:
		tp.last, tp.loaded = time.Now(), true
	case *page.EventFrameStartedLoading, *page.EventFrameStoppedLoading:
		tp.last = time.Now()
	case *cdplog.EventEntryAdded:
		if ev.Entry.Level == cdplog.EntryLevelError {
			tp.errors = append(tp.errors, strings.TrimSpace(fmt.Sprintf("%s %s", ev.Entry.Text, ev.Entry.URL)))
		}
	case *runtime.EventExceptionThrown:
		text := ev.ExceptionDetails.Text
		if e := ev.ExceptionDetails.Exception; e != nil {
			text, _, _ = strings.Cut(e.Description, "\n")
		}
		tp.errors = append(tp.errors, "uncaught: "+text)
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeAssert {
			var words []string
			for _, a := range ev.Args {
				words = append(words, strings.Trim(string(a.Value), `"`)+a.Description)
			}
			tp.errors = append(tp.errors, "console: "+strings.Join(words, " "))
		}
	}
}

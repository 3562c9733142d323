package bench

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	// eventSize is the size of one event's JSON, in bytes.
	eventSize = 1024

	runDigits = 6
	seqDigits = 12
	sentWidth = 19 // nanoseconds, as many as an int64 has
	// markWidth is run, sequence number and time, with a dash between.
	markWidth = runDigits + 1 + seqDigits + 1 + sentWidth
	markKey   = `"mark":"`

	// kindPrefix and kindDigits make an event type: see [eventType].
	kindPrefix = "Contoso.Orders.Kind"
	kindDigits = 5
)

// eventType is the type of the events of a kind.
func eventType(kind uint64) string {
	return fmt.Sprintf("%s%0*d", kindPrefix, kindDigits, kind)
}

// mark is what an event tells about itself.
type mark struct {
	run  uint64 // the slice that it was sent in
	seq  uint64 // its number within the slice, from 0
	sent int64  // nanoseconds since the lab's start
}

// putMark writes m over the markWidth bytes at dst.
func putMark(dst []byte, m mark) {
	putID(dst, m)
	dst[runDigits+1+seqDigits] = '-'
	putDigits(dst[runDigits+1+seqDigits+1:markWidth], uint64(m.sent)) //nolint:gosec // a time since the start is not negative
}

// putID writes the part of m that is unique to the event.
func putID(dst []byte, m mark) {
	putDigits(dst[:runDigits], m.run)
	dst[runDigits] = '-'
	putDigits(dst[runDigits+1:runDigits+1+seqDigits], m.seq)
}

func putDigits(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = '0' + byte(v%10)
		v /= 10
	}
}

// getMark reads what putMark wrote.
func getMark(b []byte) (mark, bool) {
	if len(b) < markWidth {
		return mark{}, false
	}
	run, ok1 := getDigits(b[:runDigits])
	seq, ok2 := getDigits(b[runDigits+1 : runDigits+1+seqDigits])
	sent, ok3 := getDigits(b[runDigits+1+seqDigits+1 : markWidth])
	return mark{run: run, seq: seq, sent: int64(sent)}, ok1 && ok2 && ok3 //nolint:gosec // putMark wrote it from an int64
}

func getDigits(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return v, true
}

// eventJSON returns one CloudEvent of eventSize bytes: the usual attributes and
// a business object with nested values, filled up with text.
func eventJSON() []byte {
	id := strings.Repeat("0", runDigits) + "-" + strings.Repeat("0", seqDigits)
	head := `{"specversion":"1.0","type":"` + eventType(0) + `","source":"/contoso/orders",` +
		`"id":"` + id + `","time":"2026-01-02T03:04:05.678Z","subject":"orders/europe/4711",` +
		`"datacontenttype":"application/json","data":{` + markKey + strings.Repeat("0", markWidth) + `",` +
		`"tenant":"t-00007","order":4711,"customer":{"name":"Ada Lovelace","country":"GB","vip":true},"items":[` +
		`{"sku":"A-100","quantity":2,"price":19.95},{"sku":"B-200","quantity":1,"price":249.0},` +
		`{"sku":"C-300","quantity":12,"price":0.75}],"total":297.9,"currency":"EUR","note":"`
	const words = "Please deliver to the back door between nine and noon. "
	const tail = `"}}`
	fill := eventSize - len(head) - len(tail)
	return []byte(head + strings.Repeat(words, fill/len(words)+1)[:fill] + tail)
}

// request is one HTTP request as it goes over the wire, with the places in it
// that change from one sending to the next. Its owner is one connection.
type request struct {
	wire  []byte
	ids   []int // offset of each event's id
	marks []int // offset of each event's mark
	kinds []int // offset of the digits of each event's type
}

// newRequest builds a POST of n events: one alone in structured mode, more as a
// batch.
func newRequest(e Endpoint, n int) (*request, error) {
	u, err := loopback(e.URL)
	if err != nil {
		return nil, err
	}
	event := eventJSON()
	idAt := strings.Index(string(event), `"id":"`) + len(`"id":"`)
	markAt := strings.Index(string(event), markKey) + len(markKey)
	kindAt := strings.Index(string(event), kindPrefix) + len(kindPrefix)

	contentType, size := "application/cloudevents+json; charset=utf-8", len(event)
	if n > 1 {
		contentType, size = "application/cloudevents-batch+json; charset=utf-8", n*(len(event)+1)+1
	}
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n", u.RequestURI(), u.Host, contentType, size)
	if e.Key != "" {
		fmt.Fprintf(&b, "aeg-sas-key: %s\r\n", e.Key)
	}
	for _, name := range sortedKeys(e.Header) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, e.Header[name])
	}
	b.WriteString("\r\n")

	r := &request{wire: []byte(b.String())}
	for i := range n {
		if n > 1 {
			r.wire = append(r.wire, "[,"[min(i, 1)])
		}
		r.ids = append(r.ids, len(r.wire)+idAt)
		r.marks = append(r.marks, len(r.wire)+markAt)
		r.kinds = append(r.kinds, len(r.wire)+kindAt)
		r.wire = append(r.wire, event...)
	}
	if n > 1 {
		r.wire = append(r.wire, ']')
	}
	return r, nil
}

// stamp gives the events of r consecutive numbers from m.seq.
func (r *request) stamp(m mark) {
	for i := range r.ids {
		putID(r.wire[r.ids[i]:], m)
		putMark(r.wire[r.marks[i]:], m)
		m.seq++
	}
}

// setKind makes the events of r of a kind.
func (r *request) setKind(kind uint64) {
	for _, at := range r.kinds {
		putDigits(r.wire[at:at+kindDigits], kind)
	}
}

func (r *request) events() uint64 { return uint64(len(r.ids)) }

// loopback parses a URL and refuses it unless it is plain HTTP to this machine:
// a load is never sent to anybody else.
func loopback(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("parse the address to send to: %w", err)
	}
	ip, err := netip.ParseAddr(u.Hostname())
	local := u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
	if _, portErr := strconv.ParseUint(u.Port(), 10, 16); u.Scheme != "http" || !local || portErr != nil {
		return nil, fmt.Errorf("%s is not http:// with a loopback address and a port", raw)
	}
	return u, nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

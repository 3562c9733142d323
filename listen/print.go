package listen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxShown bounds what is printed of one payload, in bytes.
const maxShown = 8 << 10

// oneLine is the longest payload that stays on the line of its label.
const oneLine = 100

// shownHeaders are the facts of delivery worth a line, with their labels.
var shownHeaders = []struct{ name, label string }{
	{"aeg-subscription-name", "subscription"},
	{"aeg-delivery-count", "earlier attempts"},
	{"aeg-output-event-id", "delivery id"},
	{"aeg-event-type", "message"},
}

// print writes a headline with the time, its note, and further lines indented.
func (s *Server) print(headline, note string, lines ...string) {
	if s.Out == nil {
		return
	}
	var b bytes.Buffer
	s.headline(&b, headline, note)
	for _, l := range lines {
		fmt.Fprintf(&b, "  %s\n", safe(l))
	}
	s.flush(&b)
}

// printEvents writes the events of one request without others in between.
func (s *Server) printEvents(events []Event) {
	if s.Out == nil {
		return
	}
	var b bytes.Buffer
	for i := range events {
		e := &events[i]
		s.headline(&b, e.Type, answered(e.Status))
		field(&b, "source", e.Source)
		field(&b, "subject", e.Subject)
		field(&b, "id", e.ID)
		field(&b, "time", e.Time)
		var facts []string
		for _, h := range shownHeaders {
			v := e.Header.Get(h.name)
			if v != "" && v != "Notification" { // nearly all are; say it when not
				facts = append(facts, h.label+" "+v)
			}
		}
		field(&b, "delivery", strings.Join(facts, ", "))
		payload(&b, e.Data)
	}
	s.flush(&b)
}

func (s *Server) headline(b *bytes.Buffer, text, note string) {
	fmt.Fprintf(b, "%s  %s  (%s)\n", s.now().Format("15:04:05.000"), safe(text), note)
}

// flush writes what was put together. Nobody can be told that it failed: Out is
// where one would be told.
func (s *Server) flush(b *bytes.Buffer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.Out.Write(b.Bytes())
}

func field(b *bytes.Buffer, label, value string) {
	if value != "" {
		fmt.Fprintf(b, "  %-9s %s\n", label, safe(value))
	}
}

// payload prints data: short JSON on one line, long JSON indented, anything
// else as text.
func payload(b *bytes.Buffer, data []byte) {
	if len(data) == 0 {
		return
	}
	var compact bytes.Buffer
	if json.Compact(&compact, data) != nil {
		field(b, "data", excerpt(data))
		return
	}
	if compact.Len() <= oneLine {
		field(b, "data", compact.String())
		return
	}
	var tall bytes.Buffer
	if json.Indent(&tall, compact.Bytes(), "", "  ") != nil {
		return // unreachable: it was compacted a moment ago
	}
	fmt.Fprintf(b, "  data\n")
	for line := range strings.SplitSeq(excerpt(tall.Bytes()), "\n") {
		fmt.Fprintf(b, "    %s\n", safe(line))
	}
}

// excerpt returns the beginning of data, and how much is missing.
func excerpt(data []byte) string {
	if len(data) <= maxShown {
		return string(data)
	}
	cut := maxShown
	for cut > maxShown-utf8.UTFMax && !utf8.RuneStart(data[cut]) {
		cut--
	}
	return string(data[:cut]) + "… and " + strconv.Itoa(len(data)-cut) + " bytes more"
}

func answered(status int) string {
	return strings.TrimSpace("answered " + strconv.Itoa(status) + " " + http.StatusText(status))
}

// safe makes text from strangers harmless on a terminal: escape sequences,
// line breaks, marks that reverse the writing direction and bytes that are no
// UTF-8 appear as escapes.
func safe(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsPrint(r): // letters, marks, numbers, symbols and the plain space
			b.WriteRune(r)
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[n:]
	}
	return b.String()
}

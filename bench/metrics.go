package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxScrape bounds the metrics of one server, in bytes.
const maxScrape = 256 << 20

// scrape is what a server says about itself: values by series, which are
// written as the server writes them.
type scrape map[string]float64

// scrape reads the server's metrics.
func (s *server) scrape(ctx context.Context) (scrape, error) {
	pem, err := os.ReadFile(filepath.Join(s.data, "ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("read the server's CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("read the server's CA: ca.pem holds no certificate")
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.at.URL+"/metrics", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("read the server's metrics: %w", err)
	}
	resp, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("read the server's metrics: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxScrape))
	if err != nil {
		return nil, fmt.Errorf("read the server's metrics: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read the server's metrics: answered %d: %.200s", resp.StatusCode, body)
	}
	return parseScrape(body)
}

// parseScrape reads the text format of Prometheus, without timestamps.
func parseScrape(text []byte) (scrape, error) {
	s := scrape{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		// A label may hold blanks, a value cannot.
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return nil, fmt.Errorf("metrics: no value in %.100q", line)
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metrics: no value in %.100q", line)
		}
		s[strings.TrimSpace(line[:at])] = v
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return s, nil
}

// sum adds up the series of a name whose labels, as written, contain a text.
func (s scrape) sum(name, labels string) float64 {
	total := 0.0
	for series, v := range s {
		of, in, _ := strings.Cut(series, "{")
		if of == name && strings.Contains(in, labels) {
			total += v
		}
	}
	return total
}

// account is what a server says about all events so far, in a sentence.
func (s *server) account(ctx context.Context) string {
	// Also when the run is over: that may be why.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	said, err := s.scrape(ctx)
	if err != nil {
		return err.Error()
	}
	return said.account()
}

func (s scrape) account() string {
	o := s.owed("")
	failed := map[string]float64{}
	for series, v := range s {
		if name, labels, _ := strings.Cut(series, "{"); name == "eventgrid_delivery_attempt_fail_total" {
			_, rest, _ := strings.Cut(labels, `error_type="`)
			outcome, _, _ := strings.Cut(rest, `"`)
			failed[outcome] += v
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "the server matched %.0f, delivered %.0f, dead-lettered %.0f and dropped %.0f", o.matched, o.delivered, o.deadLettered, o.dropped)
	for _, outcome := range slices.Sorted(maps.Keys(failed)) {
		fmt.Fprintf(&text, "; %.0f attempts ended in %s", failed[outcome], outcome)
	}
	return text.String()
}

// owed is what a server says of the events of a topic: it still owes what
// matched and was neither delivered nor given up.
type owed struct{ matched, delivered, deadLettered, dropped float64 }

// owed tells about one topic, or about all together when it is empty.
func (s scrape) owed(topic string) owed {
	label := ""
	if topic != "" {
		label = "topic=" + strconv.Quote(topic)
	}
	return owed{
		matched:      s.sum("eventgrid_matched_events_total", label),
		delivered:    s.sum("eventgrid_delivery_success_total", label),
		deadLettered: s.sum("eventgrid_dead_lettered_total", label),
		dropped:      s.sum("eventgrid_dropped_total", label),
	}
}

// check compares what a server says with what was published and with how many
// different events have arrived, and returns how many are still owed.
func (o owed) check(published, arrived uint64) (waiting uint64, err error) {
	switch {
	case o.matched != float64(published):
		return 0, fmt.Errorf("%w: %d were published, the server matched %.0f", errMissing, published, o.matched)
	case o.dropped+o.deadLettered > 0:
		return 0, fmt.Errorf("%w: the server gave up %.0f", errMissing, o.dropped+o.deadLettered)
	case o.delivered > float64(arrived):
		return 0, fmt.Errorf("%w: the server delivered %.0f, %d have arrived", errMissing, o.delivered, arrived)
	}
	return published - uint64(o.delivered), nil
}

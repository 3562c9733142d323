package app

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// A StorageLimit is how many bytes of events may wait in one Azure subscription: for
// their retry, in backlogs and as dead letters. Its zero value is ThirdOfFree.
type StorageLimit int64

const (
	// ThirdOfFree follows the disk: an Azure subscription may keep a third of what is
	// free. So one by itself gets a quarter of the room, and however many there are
	// that fill it, there is room left for the next one.
	ThirdOfFree StorageLimit = 0
	// NoStorageLimit leaves it to the disk, which is one for all.
	NoStorageLimit StorageLimit = -1

	freeShare = 3
	// leastStorage is what an Azure subscription may keep on however full a disk.
	leastStorage = 16 << 20
)

// UnmarshalText implements [encoding.TextUnmarshaler]: "auto", "none", or bytes with
// an optional KB, MB, GB or TB, powers of 1,024.
func (s *StorageLimit) UnmarshalText(text []byte) error {
	given := strings.ToLower(strings.TrimSpace(string(text)))
	switch given {
	case "auto", "":
		*s = ThirdOfFree
		return nil
	case "none":
		*s = NoStorageLimit
		return nil
	}
	number, unit := given, int64(1)
	for i, suffix := range []string{"kb", "mb", "gb", "tb"} {
		if rest, ok := strings.CutSuffix(given, suffix); ok {
			number, unit = strings.TrimSpace(rest), 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > (1<<62)/unit {
		return fmt.Errorf("%q is no amount of storage: auto, none, or bytes such as 500MB or 20GB", text)
	}
	*s = StorageLimit(n * unit)
	return nil
}

// bytes is the limit while so many bytes are free, 0 for none; free is less than 0
// when nobody knows.
func (s StorageLimit) bytes(free int64) int64 {
	switch {
	case s > 0:
		return int64(s)
	case s == NoStorageLimit, free < 0:
		return 0
	default:
		return max(free/freeShare, leastStorage)
	}
}

// limitEvery is how often the limit follows the disk.
const limitEvery = 250 * time.Millisecond

// limitStorage keeps the limit of a ledger current until ctx ends.
func limitStorage(ctx context.Context, s StorageLimit, ledger *eventlog.Ledger, free func() int64) error {
	tick := time.NewTicker(limitEvery)
	defer tick.Stop()
	for {
		ledger.SetLimit(s.bytes(free()))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// payerOf returns the key under which an Azure subscription's storage is counted.
func payerOf(id resource.ID) string { return strings.ToLower(id.Subscription) }

// payer says who pays for an event subscription: the Azure subscription it is in.
func (p *projection) payer(sub resource.UID) string {
	id, err := resource.ParseID(p.dispatcher.IDOf(sub))
	if err != nil {
		return "" // it is not known any more
	}
	return payerOf(id)
}

// storage returns the account of the Azure subscription that a resource is in.
func (p *projection) storage(id resource.ID) *eventlog.Account { return p.ledger.Account(payerOf(id)) }

// storageMetrics tell how much is kept by whom.
type storageMetrics struct {
	ledger      *eventlog.Ledger
	kept, limit *prometheus.Desc
	none        *eventlog.Account
}

func newStorageMetrics(l *eventlog.Ledger) *storageMetrics {
	return &storageMetrics{
		ledger: l, none: l.Account(""),
		kept: prometheus.NewDesc("intertie_storage_kept_bytes",
			"Bytes of events that wait in an Azure subscription: for retries, in backlogs, as dead letters.", []string{"subscription"}, nil),
		limit: prometheus.NewDesc("intertie_storage_limit_bytes", "Bytes that may wait in each Azure subscription; 0: any number.", nil, nil),
	}
}

// Describe implements [prometheus.Collector].
func (m *storageMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.kept
	out <- m.limit
}

// Collect implements [prometheus.Collector].
func (m *storageMetrics) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(m.limit, prometheus.GaugeValue, float64(m.none.Limit()))
	m.ledger.Each(func(payer string, a *eventlog.Account) {
		out <- prometheus.MustNewConstMetric(m.kept, prometheus.GaugeValue, float64(a.Kept()), payer)
	})
}

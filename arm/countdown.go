package arm

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// countdown announces, as Azure does, how many requests a client has left this
// hour. It only announces: nothing is refused, and what is left starts again
// when it has run out.
type countdown struct {
	mu   sync.Mutex // protects the fields below
	hour time.Time
	used map[string]int // by header
}

const (
	remainingReads     = "X-Ms-Ratelimit-Remaining-Subscription-Reads"
	remainingWrites    = "X-Ms-Ratelimit-Remaining-Subscription-Writes"
	remainingDeletes   = "X-Ms-Ratelimit-Remaining-Subscription-Deletes"
	remainingResources = "X-Ms-Ratelimit-Remaining-Subscription-Resource-Requests"
)

// hourly is what Azure starts from.
var hourly = map[string]int{remainingReads: 12_000, remainingWrites: 1_200, remainingDeletes: 15_000, remainingResources: 900}

func (c *countdown) announce(rq *request) {
	if rq.path.ID.Subscription == "" {
		return
	}
	header := remainingReads
	switch rq.http.Method {
	case http.MethodPut, http.MethodPatch, http.MethodPost:
		header = remainingWrites
	case http.MethodDelete:
		header = remainingDeletes
	}
	if types := rq.path.ID.Types; header != remainingReads && len(types) > 0 && strings.EqualFold(types[len(types)-1], nestedSubscriptions) {
		header = remainingResources
	}
	rq.out.Header().Set(header, strconv.Itoa(c.next(header, rq.now)))
}

func (c *countdown) next(header string, now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hour := now.Truncate(time.Hour); c.used == nil || !hour.Equal(c.hour) {
		c.hour, c.used = hour, make(map[string]int, len(hourly))
	}
	c.used[header]++
	return hourly[header] - 1 - (c.used[header]-1)%hourly[header]
}

package webhook

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds a receiver's wish: a mistake in one answer must not keep a
// whole subscription waiting for longer.
const maxRetryAfter = time.Hour

// retryAfter reads a Retry-After header: whole seconds or an HTTP date. Without
// one, or with nonsense in it, there is no wish: 0.
func retryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if v == "" {
		return 0
	}
	if strings.Trim(v, "0123456789") == "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil { // more than fits: as long as possible
			return maxRetryAfter
		}
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(t.Sub(now), 0), maxRetryAfter)
}

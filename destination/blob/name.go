package blob

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Name returns the name of a dead-letter blob inside its container, in Azure's
// layout: subscription in upper case, then year, month, day and hour in UTC
// without leading zeros, then a GUID. The same arguments give the same name, so
// a write that is repeated with the same id replaces its own blob.
func Name(subscription string, at time.Time, id [16]byte) string {
	at = at.UTC()
	return fmt.Sprintf(
		"%s/%d/%d/%d/%d/%s.json",
		strings.ToUpper(subscription), at.Year(), int(at.Month()), at.Day(), at.Hour(), uuid.UUID(id),
	)
}

package arm

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/intertie/intertie/resource"
)

// audit writes the line that says who did what where, from which address and
// with which result: for every write, and for every call that was refused.
//
// Who has no valid token is nobody to remember: such refusals are told a few
// times a minute per address, with the number of those left out.
func (h *Handler) audit(rq *request, status int, err error, took time.Duration) {
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden
	if !refused && (rq.http.Method == http.MethodGet || rq.http.Method == http.MethodHead) {
		return
	}
	address := h.clientIP(rq.http)
	attrs := []slog.Attr{
		slog.String("principal", rq.caller.ObjectID), slog.String("client", rq.caller.AppID), slog.String("name", rq.caller.Name),
		slog.String("issuer", rq.caller.Issuer), slog.String("method", rq.http.Method), slog.String("path", rq.http.URL.Path),
		slog.String("action", rq.action), slog.String("scope", rq.auditScope()), slog.Int("status", status),
		slog.String("result", auditResult(status, err)), slog.String("address", address), slog.String("remote", rq.http.RemoteAddr),
		slog.String("request", rq.id), slog.Duration("took", took),
	}
	if rq.caller.ObjectID == "" && refused {
		held, ok := h.strangers.News(address)
		if !ok {
			return
		}
		if held > 0 {
			attrs = append(attrs, slog.Int("left_out", held))
		}
	}
	if e, ok := errors.AsType[*resource.Error](err); ok {
		attrs = append(attrs, slog.String("code", string(e.Code)))
	}
	if rq.grant.ID != "" {
		attrs = append(attrs, slog.String("by_assignment", rq.grant.ID), slog.String("by_role", rq.grant.Role))
	}
	if rq.correlation != rq.id {
		attrs = append(attrs, slog.String("correlation", rq.correlation))
	}
	h.Logger.LogAttrs(rq.http.Context(), slog.LevelInfo, "audit", attrs...)
}

// auditScope is what the decision was about; empty before there was one.
func (rq *request) auditScope() string {
	if rq.action == "" {
		return ""
	}
	return rq.scope.String()
}

func auditResult(status int, err error) string {
	switch {
	case isCode(err, resource.OutcomeUnknown):
		return "unknown"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "refused"
	case status >= http.StatusBadRequest:
		return "failed"
	default:
		return "done"
	}
}

package graph

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// problem is a refusal that the client is told about.
type problem struct {
	status        int
	code, message string
}

func (p *problem) Error() string { return p.code + ": " + p.message }

func badRequest(code, message string) error {
	return &problem{http.StatusBadRequest, code, message}
}

func notFound(code, message string) error {
	return &problem{http.StatusNotFound, code, message}
}

func noSuch(id string) error {
	return notFound("Request_ResourceNotFound", "Resource '"+id+"' does not exist or one of its queried reference-property objects are not present.")
}

type errorBody struct {
	Error struct {
		Code       string `json:"code"`
		Message    string `json:"message"`
		InnerError struct {
			Date            string `json:"date"`
			RequestID       string `json:"request-id"`
			ClientRequestID string `json:"client-request-id"`
		} `json:"innerError"`
	} `json:"error"`
}

// fail answers with err. What is no problem of the client's is logged under the
// request id that the client gets, and told to nobody else.
func (h *Handler) fail(c *call, err error) {
	w, r, id := c.w, c.r, c.id
	p, ok := errors.AsType[*problem](err)
	if !ok {
		h.logger().LogAttrs(r.Context(), slog.LevelError, "directory request failed", slog.Any("error", err),
			slog.String("path", r.URL.Path), slog.String("request_id", id))
		p = &problem{http.StatusInternalServerError, "Service_InternalServerError", "Encountered an internal server error."}
	}
	var b errorBody
	b.Error.Code, b.Error.Message = p.code, p.message
	b.Error.InnerError.Date = h.now().UTC().Format("2006-01-02T15:04:05")
	b.Error.InnerError.RequestID = id
	b.Error.InnerError.ClientRequestID = id
	if own, err := uuid.Parse(r.Header.Get("client-request-id")); err == nil {
		b.Error.InnerError.ClientRequestID = own.String()
	}
	writeJSON(w, p.status, b)
}

// writeJSON cannot fail on our own types; a client that went away gets nothing.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// readBody decodes the body into v. Properties it does not know are ignored:
// clients send a full application object of which little matters here. An empty
// body is an empty object where the operation allows it.
func (c *call) readBody(v any, emptyAllowed bool) error {
	dec := json.NewDecoder(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	err := dec.Decode(v)
	if errors.Is(err, io.EOF) && emptyAllowed {
		return nil
	}
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return nil
		}
	}
	return badRequest("Request_BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
}

func timestamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format("2006-01-02T15:04:05Z")
	return &s
}

package faultlineextension

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// retryAfterSecs is when a sender that was not heard is to come again.
const retryAfterSecs = 30

// answer is what a sender gets.
type answer struct {
	status     int
	retryAfter uint32
	// body is JSON.
	body string
}

// routes is the way in for incident tools.
func (e *faultline) routes() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("/webhooks/{source}", e.serveWebhook)
	return routes
}

func (e *faultline) serveWebhook(response http.ResponseWriter, request *http.Request) {
	source := request.PathValue("source")
	webhook, reply := readWebhook(request)
	if reply == nil {
		received := e.intake.receive(request.Context(), source, webhook)
		reply = &received
	}
	reply.write(response)
	// Whatever else is asked for is one series, not as many as somebody can think of.
	if _, known := e.config.Sources[source]; !known {
		source = "unknown"
	}
	e.telemetry.ExtensionFaultlineWebhooks.Add(request.Context(), 1, metric.WithAttributes(
		attribute.String("source", source), attribute.Int("http.response.status_code", reply.status)))
}

// readWebhook reads a request as the plugin wants it, or gives the answer for what cannot be read.
func readWebhook(request *http.Request) (guest.Webhook, *answer) {
	body, err := io.ReadAll(request.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		reply := refusal(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit))
		return guest.Webhook{}, &reply
	case err != nil:
		reply := refusal(http.StatusBadRequest, "the body was cut short, or took too long")
		return guest.Webhook{}, &reply
	}
	webhook := guest.Webhook{Method: request.Method, URL: request.URL.RequestURI(), Body: body}
	for name, values := range request.Header {
		for _, value := range values {
			webhook.Headers = append(webhook.Headers, guest.Header{Name: name, Value: []byte(value)})
		}
	}
	return webhook, nil
}

// refusal is an answer of the host's own, in the form of the plugin's.
func refusal(status int, message string) answer {
	word := "refused"
	if status == http.StatusRequestEntityTooLarge {
		word = "too-large"
	}
	// Strings are always JSON.
	body, _ := json.Marshal(map[string]string{"status": word, "message": message})
	return answer{status: status, body: string(body)}
}

// unavailable asks the sender to come again.
func unavailable(message string) answer {
	reply := refusal(http.StatusServiceUnavailable, message)
	reply.retryAfter = retryAfterSecs
	return reply
}

// ofReceipt is what the plugin answers.
func ofReceipt(receipt guest.Receipt) answer {
	reply := answer{status: int(receipt.Status), body: receipt.Body}
	switch {
	case receipt.RetryAfterSecs != nil:
		reply.retryAfter = *receipt.RetryAfterSecs
	case receipt.Status == http.StatusServiceUnavailable:
		reply.retryAfter = retryAfterSecs
	}
	return reply
}

func (a answer) write(response http.ResponseWriter) {
	response.Header().Set("Content-Type", "application/json")
	if a.retryAfter > 0 {
		response.Header().Set("Retry-After", strconv.FormatUint(uint64(a.retryAfter), 10))
	}
	response.WriteHeader(a.status)
	// A sender that went away sends again, and is a duplicate.
	_, _ = io.WriteString(response, a.body)
}

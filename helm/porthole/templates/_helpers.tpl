{{/* The labels of everything; the argument is (dict "root" $ "name" what it is). */}}
{{- define "porthole.labels" -}}
{{ include "porthole.selector" . }}
app.kubernetes.io/part-of: porthole
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* The labels by which the pods of one program are known. */}}
{{- define "porthole.selector" -}}
app.kubernetes.io/name: porthole-{{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "porthole.tag" -}}
{{ .Values.images.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "porthole.image" -}}
{{ printf "%s/porthole:%s" (trimSuffix "/" .Values.images.registry) (include "porthole.tag" .) }}
{{- end }}

{{/* The Secret with the certificate of the Service. */}}
{{- define "porthole.tlsSecret" -}}
{{ .Values.controlPlane.tls.secret | default "porthole-tls" }}
{{- end }}

{{/* Whether a database is to be run here. */}}
{{- define "porthole.bundled" -}}
{{- if and .Values.controlPlane.enabled .Values.database.bundled.enabled }}true{{ end -}}
{{- end }}

{{/* Where the agent finds its control plane. */}}
{{- define "porthole.url" -}}
{{- if .Values.agent.url -}}
{{ .Values.agent.url }}
{{- else -}}
https://porthole.{{ .Release.Namespace }}.svc{{ if ne (int .Values.service.port) 443 }}:{{ .Values.service.port }}{{ end }}
{{- end -}}
{{- end }}

{{/* The names of the Service, for certificates and Host headers, one a line. */}}
{{- define "porthole.hosts" -}}
porthole
porthole.{{ .Release.Namespace }}
porthole.{{ .Release.Namespace }}.svc
porthole.{{ .Release.Namespace }}.svc.cluster.local
{{- end }}

{{/* What a pod of ours may: nothing that Pod Security `restricted` does not allow, and less. */}}
{{- define "porthole.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10000
runAsGroup: 10000
fsGroup: 10000
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "porthole.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* What all pods have in common; the argument is (dict "root" $ "name" … "account" …
     "automount" bool "values" its section). */}}
{{- define "porthole.pod" -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: {{ .automount }}
enableServiceLinks: false
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "porthole.podSecurity" .root | nindent 2 }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* Replicas stand on different nodes where there are several. */}}
{{- define "porthole.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "porthole.selector" . | nindent 8 }}
{{- end }}

{{- define "porthole.podMetadata" -}}
labels:
  {{- include "porthole.labels" . | nindent 2 }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Where a program tells its metrics, and where it sends traces: environment; the argument is
     (dict "root" $ "prefix" "PORTHOLE_…" "values" its section). */}}
{{- define "porthole.seen" -}}
{{- if .values.metrics }}
- {name: {{ .prefix }}METRICS, value: "0.0.0.0:8090"}
- {name: {{ .prefix }}METRICS_TOKEN_FILE, value: /run/porthole-metrics/token}
{{- end }}
{{- end }}

{{- define "porthole.traces" -}}
{{- with .Values.traces.endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- include "porthole.settings" .Values.traces.settings }}
{{- end }}

{{/* Settings of people's own, as environment. */}}
{{- define "porthole.settings" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* How the control plane reaches its database: environment. */}}
{{- define "porthole.databaseEnv" -}}
- name: PORTHOLE_DATABASE_URL
  {{- if include "porthole.bundled" . }}
  value: host=porthole-database.{{ .Release.Namespace }}.svc dbname=porthole user=porthole sslmode=verify-full sslrootcert=/run/porthole-database/ca.crt
  {{- else if .Values.database.external.authoritySecret.name }}
  value: {{ include "porthole.externalUrl" . | quote }}
  {{- else }}
  value: {{ .Values.database.external.url | quote }}
  {{- end }}
{{- if or (include "porthole.bundled" .) .Values.database.external.passwordSecret.name }}
- name: PORTHOLE_DATABASE_PASSWORD_FILE
  value: /run/porthole-database/password
{{- end }}
{{- end }}

{{/* The string with sslrootcert added, in whichever of libpq's two forms it is written. */}}
{{- define "porthole.externalUrl" -}}
{{- $url := .Values.database.external.url -}}
{{- $file := "sslrootcert=/run/porthole-database/ca.crt" -}}
{{- if contains "://" $url -}}
{{ $url }}{{ if contains "?" $url }}&{{ else }}?{{ end }}{{ $file }}
{{- else -}}
{{ $url }} {{ $file }}
{{- end -}}
{{- end }}

{{/* The volume with the password and the authority of the database. */}}
{{- define "porthole.databaseVolume" -}}
- name: database
  projected:
    defaultMode: 0440
    sources:
      {{- if include "porthole.bundled" . }}
      - secret:
          name: porthole-database
          items: [{key: password, path: password}]
      - secret:
          name: porthole-database-tls
          items: [{key: ca.crt, path: ca.crt}]
      {{- else }}
      {{- with .Values.database.external.passwordSecret }}
      {{- if .name }}
      - secret:
          name: {{ .name }}
          items: [{key: {{ .key }}, path: password}]
      {{- end }}
      {{- end }}
      {{- with .Values.database.external.authoritySecret }}
      {{- if .name }}
      - secret:
          name: {{ .name }}
          items: [{key: {{ .key }}, path: ca.crt}]
      {{- end }}
      {{- end }}
      {{- end }}
{{- end }}

{{/* The beginning of a NetworkPolicy: whom it is about, and that it says who may come. */}}
{{- define "porthole.networkPolicy" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: porthole-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "porthole.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "porthole.selector" . | nindent 6 }}
  policyTypes: [Ingress]
{{- end }}

{{/* Who may come to a program that serves nobody else: who collects metrics and has the token. */}}
{{- define "porthole.collectors" -}}
{{- if .metrics -}}
ingress:
  - from: [{namespaceSelector: {}}]
    ports: [{port: metrics}]
{{- else -}}
ingress: []
{{- end }}
{{- end }}

{{/* Hooks that are there while keys are made. */}}
{{- define "porthole.keysHook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

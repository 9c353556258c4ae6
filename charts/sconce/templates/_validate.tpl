{{/* What values.schema.json cannot say, because it is about several values at once. */}}
{{- define "sconce.validate" -}}
{{- $v := .Values }}
{{- if and $v.autoscaling.enabled $v.keda.enabled }}
{{- fail "values: autoscaling and keda would both set the number of replicas; enable one of them" }}
{{- end }}
{{- range $name, $scaling := dict "autoscaling" $v.autoscaling "keda" $v.keda }}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
{{- fail (printf "values: %s.minReplicas is more than %s.maxReplicas" $name $name) }}
{{- end }}
{{- end }}
{{- if and $v.keda.enabled (eq (int $v.keda.minReplicas) 0) (not $v.keda.extraTriggers) }}
{{- fail "values: keda.minReplicas is 0, and nothing would wake a server that is not there: nobody can queue in it; name what does in keda.extraTriggers" }}
{{- end }}
{{- if and $v.preDownload.job (eq $v.cache.type "emptyDir") }}
{{- fail "values: preDownload.job needs a cache that outlives its Pod: cache.type persistentVolumeClaim or hostPath; for emptyDir there is preDownload.initContainer" }}
{{- end }}
{{- if and (eq $v.jobs.type "persistentVolumeClaim") (or $v.autoscaling.enabled $v.keda.enabled (gt (int $v.replicaCount) 1)) }}
{{- fail "values: jobs.type persistentVolumeClaim is for one replica, since replicas cannot share it; ephemeral gives each Pod a volume of its own" }}
{{- end }}
{{- if and (eq $v.jobs.type "persistentVolumeClaim") (eq (dig "type" "Recreate" $v.strategy) "RollingUpdate") }}
{{- fail "values: with jobs.type persistentVolumeClaim the strategy has to be Recreate: the new Pod cannot open the volume while the old one has it" }}
{{- end }}
{{- with include "sconce.wyomingPort" . }}
{{- if eq . "0" }}
{{- fail "values: config.wyoming.port is 0, any that is free, which no Service finds; name one, such as 10300" }}
{{- end }}
{{- if or (eq . (toString (int $v.service.port))) (eq . (toString (int $v.service.containerPort))) }}
{{- fail (printf "values: config.wyoming.port is %s, which service.port or service.containerPort has already" .) }}
{{- end }}
{{- end }}
{{- if and (eq $v.service.ipFamilyPolicy "SingleStack") (gt (len $v.service.ipFamilies) 1) }}
{{- fail "values: service.ipFamilyPolicy is SingleStack, and service.ipFamilies names two; name one, or choose PreferDualStack" }}
{{- end }}
{{- $secrets := include "sconce.secrets" . | fromYaml }}
{{- if ne (hasKey $secrets "tls.certificate") (hasKey $secrets "tls.key") }}
{{- fail "values: secrets has one of tls.certificate and tls.key; HTTPS needs both" }}
{{- end }}
{{- if and $v.secrets.external (not $v.secrets.externalStore.name) }}
{{- fail "values: secrets.external needs secrets.externalStore.name, the store to take them from" }}
{{- end }}
{{- $scraped := or $v.metrics.serviceMonitor.enabled $v.metrics.podMonitor.enabled }}
{{- if and $v.metrics.serviceMonitor.enabled $v.metrics.podMonitor.enabled }}
{{- fail "values: metrics.serviceMonitor and metrics.podMonitor would scrape every Pod twice; enable one of them" }}
{{- end }}
{{- if and $scraped (include "sconce.locked" .) (not $v.metrics.authorization) (not (dig "access" "open_metrics" false $v.config)) }}
{{- fail "values: callers need a key, so Prometheus does as well: give it one by metrics.authorization, or set config.access.open_metrics" }}
{{- end }}
{{- end }}

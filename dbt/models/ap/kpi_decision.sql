{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ redo_on_another_day() }}",
        "{{ delete_stale(months_of_decisions()) }}",
    ],
) }}

with
fact_decision as {{ rows_of(ref('fact_decision')) }},
reporting_date as {{ rows_of(ref('reporting_date')) }},

-- An application whose version is set aside has no currency, and is in no KPI until it has (ap.missing_rows).
decided_up_to as (
{{- whole_and_products(
    'fact_decision',
    ['currency', 'decision', 'first_submitted_on', 'decided_on', 'hours_to_decision', 'hours_to_decision_without_returned'],
    until='decided_on',
    only="t.decision <> 'none' and t.currency is not null",
    months=('fact_decision', 'decided'),
) -}}
),

decided as (
    select d.*, {{ month_start('d.decided_on') }} as decided_month
    from decided_up_to as d
    where d.first_submitted_on <= d.as_of_date
),

submitted as (
{{- whole_and_products(
    'fact_decision',
    ['currency', 'first_submitted_on', 'booked_on'],
    until='first_submitted_on',
    only='t.currency is not null',
    months=('fact_decision', 'submitted'),
) -}}
),

approval as (
    select
        d.as_of_date, d.decided_month as period_start, d.currency, d.dimension, d.member,
        sum(case when d.decision = 'approved' then 1 else 0 end) as numerator,
        count(*) as denominator
    from decided as d
    group by d.as_of_date, d.decided_month, d.currency, d.dimension, d.member
),

pull_through as (
    select
        d.as_of_date, {{ month_start('d.first_submitted_on') }} as period_start, d.currency, d.dimension, d.member,
        sum(case when d.booked_on <= d.as_of_date then 1 else 0 end) as numerator,
        count(*) as denominator
    from submitted as d
    group by d.as_of_date, {{ month_start('d.first_submitted_on') }}, d.currency, d.dimension, d.member
),

decided_percentiles as (
    {{ percentiles(
        'decided',
        ['as_of_date', 'decided_month', 'currency', 'dimension', 'member'],
        {
            'p50': ('hours_to_decision', 0.5), 'p95': ('hours_to_decision', 0.95),
            'net_p50': ('hours_to_decision_without_returned', 0.5), 'net_p95': ('hours_to_decision_without_returned', 0.95),
        },
        {'cases': 'count(*)'},
    ) }}
),

-- What waited at the end of the day, by its events: is_open is about now. Nothing comes back from these three.
undecided as (
{{- whole_and_products(
    'fact_decision',
    ['currency', 'first_submitted_on', 'withdrawn_at', 'expired_at'],
    until='first_submitted_on',
    only='(t.decided_on is null or t.decided_on > r.as_of_date) and t.currency is not null',
) -}}
),

waiting as (
    select d.*, {{ days_between('d.first_submitted_on', 'd.as_of_date') }} as age_days
    from undecided as d
    where (d.withdrawn_at is null or {{ business_date('d.withdrawn_at') }} > d.as_of_date)
        and (d.expired_at is null or {{ business_date('d.expired_at') }} > d.as_of_date)
),

waiting_percentiles as (
    {{ percentiles(
        'waiting',
        ['as_of_date', 'currency', 'dimension', 'member'],
        {'p50': ('age_days', 0.5), 'p95': ('age_days', 0.95)},
        {'age_days': 'sum(age_days)', 'cases': 'count(*)'},
    ) }}
),

gathered as (
    select as_of_date, 'month_of_decision' as grain, period_start, 'approval_rate' as kpi, currency, dimension, member, cast(numerator as float) as numerator, cast(denominator as float) as denominator, cast(null as numeric(19, 4)) as given
    from approval
    union all
    select as_of_date, 'month_of_submission', period_start, 'pull_through', currency, dimension, member, numerator, denominator, null
    from pull_through
    union all
    select p.as_of_date, 'month_of_decision', p.decided_month, k.kpi, p.currency, p.dimension, p.member, null, p.cases,
        case k.kpi when 'time_to_decision_p50' then p.p50 when 'time_to_decision_p95' then p.p95 when 'time_to_decision_net_p50' then p.net_p50 else p.net_p95 end
    from decided_percentiles as p
    cross join (values ('time_to_decision_p50'), ('time_to_decision_p95'), ('time_to_decision_net_p50'), ('time_to_decision_net_p95')) as k(kpi)
    union all
    select p.as_of_date, 'as_of', p.as_of_date, k.kpi, p.currency, p.dimension, p.member,
        case when k.kpi = 'backlog_age_average' then p.age_days end,
        p.cases,
        case k.kpi when 'backlog_age_p50' then p.p50 when 'backlog_age_p95' then p.p95 end
    from waiting_percentiles as p
    cross join (values ('backlog_age_p50'), ('backlog_age_p95'), ('backlog_age_average')) as k(kpi)
),

final as (
    select
        g.as_of_date,
        cast(g.grain as varchar(20)) as grain,
        g.period_start,
        cast(g.kpi as varchar(40)) as kpi,
        g.currency,
        cast(g.dimension as varchar(16)) as dimension,
        g.member,
        cast(g.numerator as numeric(38, 4)) as numerator,
        cast(g.denominator as numeric(38, 4)) as denominator,
        coalesce(cast(g.given as numeric(38, 10)), {{ ratio('g.numerator', 'g.denominator') }}) as value
    from gathered as g
)

select * from final

{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ redo_on_another_day() }}",
        "{{ delete_stale(in_stale_partition_of('fact_decision', 'submitted', 'period_start')) }}",
    ],
) }}

with
reporting_date as {{ rows_of(ref('reporting_date')) }},
fact_decision as {{ rows_of(ref('fact_decision')) }},
score_bins as {{ rows_of(ref('score_bins')) }},

reported as (
    select r.as_of_date from reporting_date as r
),

submissions as (
    select d.currency, {{ month_start('d.first_submitted_on') }} as period_start, d.score, count(*) as applications
    from fact_decision as d
    inner join reported as r on r.as_of_date >= d.first_submitted_on
    {%- if is_incremental() %}
    inner join ({{ stale_partitions('fact_decision') }}) as p
        on p.partition_kind = 'submitted' and d.first_submitted_on >= p.partition_day and d.first_submitted_on < {{ add_months('p.partition_day', 1) }}
    {%- endif %}
    where d.score is not null
    group by d.currency, {{ month_start('d.first_submitted_on') }}, d.score
),

totals as (
    select s.currency, s.period_start, sum(s.applications) as applications
    from submissions as s
    group by s.currency, s.period_start
),

-- A bin reaches from its lower edge to that of the next one. The lowest and the highest are open, whatever their outer edges
-- say: every score lies in exactly one bin.
bins as (
    select
        b.bin, b.score_from, b.expected_share,
        lag(b.bin) over (order by b.bin) as bin_below,
        lead(b.score_from) over (order by b.bin) as next_from
    from score_bins as b
),

binned as (
    select t.currency, t.period_start, b.bin, t.applications, b.expected_share, coalesce(sum(s.applications), 0) as in_bin
    from totals as t
    cross join bins as b
    left join submissions as s
        on s.currency = t.currency and s.period_start = t.period_start
        and (b.bin_below is null or s.score >= b.score_from)
        and (b.next_from is null or s.score < b.next_from)
    group by t.currency, t.period_start, b.bin, t.applications, b.expected_share
),

shares as (
    select
        b.*,
        cast(b.in_bin as float) / b.applications as actual,
        cast(b.expected_share as float) as expected
    from binned as b
),

-- An empty bin counts as 0.0001 in the sum: the logarithm of nothing is none. The shares themselves stay as they are.
floored as (
    select
        s.*,
        {{ larger('s.actual', '0.0001') }} as actual_floored,
        {{ larger('s.expected', '0.0001') }} as expected_floored
    from shares as s
),

final as (
    select
        r.as_of_date,
        s.currency,
        s.period_start,
        s.bin,
        cast(s.in_bin as numeric(28, 4)) as numerator,
        cast(s.applications as numeric(28, 4)) as denominator,
        cast(s.actual as numeric(19, 18)) as actual_share,
        cast(s.expected as numeric(19, 18)) as expected_share,
        cast(
            (s.actual_floored - s.expected_floored) * {{ natural_logarithm('s.actual_floored / s.expected_floored') }} as numeric(28, 10)
        ) as contribution
    from floored as s
    cross join reported as r
)

select * from final

{%- set dated = [
    ('fact_decision', 'first_submitted_on'), ('fact_decision', 'decided_on'), ('fact_decision', 'booked_on'),
    ('fact_loan_transaction', 'effective_on'), ('instalment_schedule', 'due_on'), ('snapshot_calendar', 'snapshot_date'),
] -%}
with
fact_decision as {{ rows_of(ref('fact_decision')) }},
fact_loan_transaction as {{ rows_of(ref('fact_loan_transaction')) }},
instalment_schedule as {{ rows_of(ref('instalment_schedule')) }},
snapshot_calendar as {{ rows_of(ref('snapshot_calendar')) }},
reporting_date as {{ rows_of(ref('reporting_date')) }},

{{ number_spine(5) }},

reported as (
    select
        {{ first_calendar_day('r.as_of_date') }} as first_day,
        {{ last_calendar_day('r.as_of_date') }} as last_day
    from reporting_date as r
),

-- Each by itself, so that an index answers where there is one.
bounds as (
    {%- for relation, day in dated %}
    select min(t.{{ day }}) as first_day, max(t.{{ day }}) as last_day
    from {{ relation }} as t
    where t.{{ day }} >= (select r.first_day from reported as r) and t.{{ day }} <= (select r.last_day from reported as r)
    {{- "\n    union all" if not loop.last }}
    {%- endfor %}
),

calendar as (
    select {{ month_start('min(b.first_day)') }} as first_day, {{ month_end('max(b.last_day)') }} as last_day from bounds as b
),

-- Days far from all others are there by themselves: they are data, but they make no calendar.
days as (
    select {{ add_days('c.first_day', 's.n') }} as date_day, 0 as is_out_of_range
    from calendar as c
    inner join spine as s on s.n <= {{ days_between('c.first_day', 'c.last_day') }}
    union all
    select f.date_day, 1
    from (
        {%- for relation, day in dated %}
        select t.{{ day }} as date_day
        from {{ relation }} as t
        where t.{{ day }} < (select r.first_day from reported as r) or t.{{ day }} > (select r.last_day from reported as r)
        {{- "\n        union" if not loop.last }}
        {%- endfor %}
    ) as f
),

final as (
    select
        d.date_day,
        {{ date_part_of('year', 'd.date_day') }} as calendar_year,
        {{ date_part_of('quarter', 'd.date_day') }} as calendar_quarter,
        {{ date_part_of('month', 'd.date_day') }} as calendar_month,
        {{ date_part_of('day', 'd.date_day') }} as day_of_month,
        {{ weekday_of('d.date_day') }} as day_of_week,
        {{ month_start('d.date_day') }} as month_start,
        {{ month_end('d.date_day') }} as month_end,
        case when d.date_day = {{ month_end('d.date_day') }} then 1 else 0 end as is_month_end,
        case when {{ weekday_of('d.date_day') }} > 5 then 1 else 0 end as is_weekend,
        d.is_out_of_range
    from days as d
)

select * from final

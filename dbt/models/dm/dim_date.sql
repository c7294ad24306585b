with {{ number_spine(5) }},

days as (
    select {{ add_days("cast('" ~ var('calendar_start') ~ "' as date)", 's.n') }} as date_day
    from spine as s
    where s.n < 21915
)

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
    case when {{ weekday_of('d.date_day') }} > 5 then 1 else 0 end as is_weekend
from days as d
